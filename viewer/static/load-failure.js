// Says that a script or a style of the page could not be loaded, and offers to load the page again. It is a classic script
// before all others: without it, “Loading …” would stay for ever.
{
  let isTold = false;
  let isStarted = false;

  const tell = (words) => {
    if (isTold) return;
    isTold = true;
    const reload = document.createElement("button");
    reload.type = "button";
    reload.textContent = "Reload the page";
    reload.addEventListener("click", () => location.reload());
    const message = document.createElement("p");
    message.className = "load-failure";
    message.setAttribute("role", "alert");
    message.append(words, " ", reload);
    document.body.prepend(message);
    for (const waiting of document.querySelectorAll("[role=status]")) {
      if (waiting.textContent === "Loading …") waiting.hidden = true;
    }
  };

  const tellSoon = (words) => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => tell(words));
    else tell(words);
  };

  addEventListener("error", ({ target, message }) => {
    const isPart = target instanceof HTMLScriptElement || (target instanceof HTMLLinkElement && target.rel === "stylesheet");
    const name = isPart ? new URL(target.src || target.href).pathname.split("/").at(-1) : "";
    if (isPart) tellSoon(`This page could not be loaded completely: “${name}”, or a file that it needs, did not come.`);
    else if (target === window && !isStarted) tellSoon(`This page could not be started: ${message}.`);
  }, true);
  addEventListener("load", () => (isStarted = true));
}
