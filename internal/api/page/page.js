// Puts a fresh copy of the page in place of the old one: scroll position, focus and selection stay.
// It waits while the reader types a search, selects text or looks elsewhere. Without scripts the page
// reloads as a whole, less often.
"use strict";
(() => {
  const body = document.body;
  const search = document.getElementById("q");
  const stale = document.getElementById("stale");
  let timer = 0;

  const busy = () => document.hidden || document.activeElement === search || !getSelection().isCollapsed;

  const plan = () => {
    clearTimeout(timer);
    const seconds = Number(body.dataset.refresh);
    if (seconds > 0) timer = setTimeout(refresh, seconds * 1000);
  };

  const focused = () => {
    const at = document.activeElement;
    return at && at.closest("main") && at.getAttribute("href");
  };

  const show = (fresh) => {
    const href = focused();
    const x = scrollX, y = scrollY;
    for (const part of ["main", "footer"]) document.querySelector(part).replaceWith(fresh.querySelector(part));
    document.title = fresh.title;
    body.dataset.refresh = fresh.body.dataset.refresh;
    scrollTo(x, y);
    if (href) document.querySelector(`main a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  };

  async function refresh() {
    try {
      if (!busy()) {
        const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(20000) });
        if (!answer.ok) throw new Error(answer.statusText);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!busy()) show(fresh);
        stale.hidden = true;
      }
    } catch {
      stale.hidden = false;
    }
    plan();
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  plan();
})();
