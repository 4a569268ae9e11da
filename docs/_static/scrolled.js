// Pictures, tables and code that are wider than the page are moved sideways, with the keyboard too, and fade where they
// go on.
document.addEventListener("DOMContentLoaded", () => {
  const [wide, within, long] = document.documentElement.lang.startsWith("zh")
    ? ["图，比屏幕宽", "下级页面", 10]
    : ["Picture, wider than the screen", "Pages within", 30];
  const figures = 20;
  const pictures = [];
  for (const image of document.querySelectorAll(".bd-article img")) {
    if (image.closest(".landing, .sphx-glr-thumbcontainer")) continue;
    const picture = image.closest("a") ?? image;
    const frame = document.createElement("div");
    frame.className = "scrolled";
    picture.replaceWith(frame);
    frame.append(picture);
    pictures.push(frame);
  }
  const all = [...pictures, ...document.querySelectorAll(".pst-scrollable-table-container, .highlight pre")];
  const update = () => {
    for (const one of all) {
      const hidden = one.scrollWidth - one.clientWidth;
      one.classList.toggle("goes-on", hidden > 1 && one.scrollLeft < hidden - 1);
      if (!pictures.includes(one)) continue;
      if (hidden > 1) {
        one.tabIndex = 0;
        one.setAttribute("role", "group");
        one.setAttribute("aria-label", wide);
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
      }
    }
  };
  for (const formula of document.querySelectorAll('math[display="block"]')) formula.tabIndex = 0;
  // The theme's list of pages at the side has buttons without names.
  for (const button of document.querySelectorAll(".toctree-l1 summary, .toctree-l2 summary")) {
    button.setAttribute("aria-label", within);
  }
  // The gallery hides the words of its links.
  for (const link of document.querySelectorAll(".sphx-glr-thumbcontainer a")) link.setAttribute("aria-label", link.textContent);
  // Sentences get room in tables, numbers and names do not need it.
  for (const cell of document.querySelectorAll("td")) {
    cell.classList.toggle("wordy", cell.textContent.length > (cell.classList.contains("text-right") ? figures : long));
  }
  for (const one of all) one.addEventListener("scroll", update, { passive: true });
  update();
  window.addEventListener("load", update);
  window.addEventListener("resize", update);
  // Paper is light.
  const page = document.documentElement.dataset;
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = page.theme;
    page.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    page.theme = theme;
  });
});
