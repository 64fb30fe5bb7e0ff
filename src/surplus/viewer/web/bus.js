// The one bus: views publish what was chosen and listen for it; none calls another. The choice lives in the URL.

const listeners = new Map();
const chosen = new Map(new URLSearchParams(location.hash.slice(1)));

export function get(key, allowed, fallback) {
  const value = chosen.get(key);
  return allowed.includes(value) ? value : fallback;
}

export function publish(key, value) {
  chosen.set(key, value);
  history.replaceState(null, "", `#${new URLSearchParams([...chosen])}`);
  for (const listener of listeners.get(key) ?? []) listener(value);
}

export function listen(key, listener) {
  if (!listeners.has(key)) listeners.set(key, []);
  listeners.get(key).push(listener);
}
