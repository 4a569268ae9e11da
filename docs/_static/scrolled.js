// Pictures that are wider than the page are moved sideways, with the keyboard too.
document.addEventListener("DOMContentLoaded", () => {
  const pictures = document.querySelectorAll("figure.drawing, .bd-article p:has(> img)");
  const update = () => {
    for (const picture of pictures) {
      if (picture.closest(".landing, .sphx-glr-thumbcontainer")) continue;
      picture.classList.add("scrolled");
      if (picture.scrollWidth > picture.clientWidth + 1) {
        picture.tabIndex = 0;
        picture.setAttribute("role", "group");
        picture.setAttribute("aria-label", "Picture, wider than the screen");
      } else {
        picture.removeAttribute("tabindex");
      }
    }
  };
  update();
  window.addEventListener("load", update);
  window.addEventListener("resize", update);
});
