/** The icon of a page where something is unread. */

const SIZE = 32;

/** A picture with a dot: a number would be too small to read. @param {string} src @returns {Promise<string>} */
export async function draw(src) {
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
