/** The icon of a page where something is unread. */

const SIZE = 32;

/** The page's own, and that with a dot. */
let own = "";
let dotted = "";
let wanted = false;

/** Put a dot on it, or take it away. @param {boolean} on */
export async function dot(on) {
  wanted = on;
  /** @type {HTMLLinkElement} */
  const link =
    document.querySelector("link[rel~=icon]") ??
    document.head.appendChild(Object.assign(document.createElement("link"), { rel: "icon", href: "/favicon.ico" }));
  // The page may have given itself another one.
  if (link.href !== dotted) own = link.href;
  if (on) dotted = await draw(own);
  link.href = wanted ? dotted : own;
}

/** A picture with a dot: a number would be too small to read. @param {string} src @returns {Promise<string>} */
async function draw(src) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = Object.assign(new Image(), { crossOrigin: "", src });
  // Without an icon of the page, or one that may not be read, there is the dot alone.
  await image.decode().then(() => pen.drawImage(image, 0, 0, SIZE, SIZE), () => {});
  pen.fillStyle = "#d1242f";
  pen.arc(22, 10, 10, 0, 7);
  pen.fill();
  return canvas.toDataURL();
}
