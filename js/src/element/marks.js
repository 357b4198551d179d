/** The number where nobody looks at the page: in its title, as a dot on its icon, on the installed app. */

const SIZE = 32;

export class Marks {
  #text = "";
  /** The page's own icon. @type {string | undefined} */
  #icon;
  #kinds;
  // The page may give itself another title.
  #observer = new MutationObserver(() => this.#title());

  /** @param {string} kinds some of `title`, `favicon`, `app` */
  constructor(kinds) {
    this.#kinds = kinds;
    this.#observer.observe(document.head, { childList: true, subtree: true });
  }

  /**
   * @param {number} count
   * @param {string} text the same, as the bell shows it
   */
  show(count, text) {
    const shown = count ? text : "";
    if (shown === this.#text) return;
    this.#text = shown;
    this.#title();
    // Not every browser has it, and it is for installed pages.
    if (this.#kinds.includes("app")) navigator.setAppBadge?.(count).catch(() => {});
    if (this.#kinds.includes("favicon")) void this.#favicon();
  }

  end() {
    this.show(0, "");
    this.#observer.disconnect();
  }

  #title() {
    const title = (this.#text && `(${this.#text}) `) + document.title.replace(/^\([\d,.]+\+?\) /, "");
    if (this.#kinds.includes("title") && title !== document.title) document.title = title;
  }

  async #favicon() {
    const own = { rel: "icon", href: "/favicon.ico" };
    /** @type {HTMLLinkElement} */
    const link = document.querySelector("link[rel~=icon]") ?? document.head.appendChild(Object.assign(document.createElement("link"), own));
    this.#icon ??= link.href;
    const dotted = await draw(this.#icon);
    link.href = this.#text ? dotted : this.#icon;
  }
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
