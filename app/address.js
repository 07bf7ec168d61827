// One page, one entry in the browser's history: a change of the query alone replaces the entry. Done once for a page that was loaded.
export default function ({ data }) {
  if (window.cpartAddress) return;
  window.cpartAddress = true;
  const push = window.history.pushState.bind(window.history);
  window.history.pushState = (state, title, url) => {
    const here = window.location;
    const stays = url !== undefined && url !== null && new URL(url, here.href).pathname === here.pathname;
    return stays ? window.history.replaceState(state, title, url) : push(state, title, url);
  };
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of new URLSearchParams(data.query)) query.set(name, value);
  const search = query.size ? `?${query}` : "";
  if (search !== window.location.search) window.history.replaceState(window.history.state, "", window.location.pathname + search + window.location.hash);
}
