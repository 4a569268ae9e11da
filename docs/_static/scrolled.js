// Pictures and tables that are wider than the page are moved sideways, with the keyboard too, and fade where they go on.
document.addEventListener("DOMContentLoaded", () => {
  const pictures = [...document.querySelectorAll("figure.drawing, .bd-article p:has(> img)")].filter(
    (picture) => !picture.closest(".landing, .sphx-glr-thumbcontainer"),
  );
  const all = [...pictures, ...document.querySelectorAll(".pst-scrollable-table-container")];
  const update = () => {
    for (const one of all) {
      const hidden = one.scrollWidth - one.clientWidth;
      one.classList.toggle("goes-on", hidden > 1 && one.scrollLeft < hidden - 1);
      if (!pictures.includes(one)) continue;
      if (hidden > 1) {
        one.tabIndex = 0;
        one.setAttribute("role", "group");
        one.setAttribute("aria-label", "Picture, wider than the screen");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
      }
    }
  };
  for (const formula of document.querySelectorAll('math[display="block"]')) formula.tabIndex = 0;
  // The theme's list of pages at the side has buttons without names.
  for (const button of document.querySelectorAll(".toctree-l1 summary, .toctree-l2 summary")) {
    button.setAttribute("aria-label", "Pages within");
  }
  for (const picture of pictures) picture.classList.add("scrolled");
  for (const one of all) one.addEventListener("scroll", update, { passive: true });
  update();
  window.addEventListener("load", update);
  window.addEventListener("resize", update);
});
