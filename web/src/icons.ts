const shapes = {
  play: "M8 5.5v13l10-6.5z",
  pause: "M8 6v12m8-12v12",
  copy: "M9 9h10v11H9zM5 15V4h10",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14",
} as const;

/** The drawing of a small button. */
export type Icon = keyof typeof shapes;

/** Draws an icon; the button's label says what it means. */
export function icon(name: Icon): SVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", shapes[name]);
  svg.append(path);
  return svg;
}
