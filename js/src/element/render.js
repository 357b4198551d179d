/** One render function: say what is to be there, and what is there becomes that. */

/**
 * @typedef {Node | Tree | string | number | false | null | undefined | Child[]} Child
 *
 * @typedef {object} Tree
 * @property {string} tag
 * @property {Record<string, any>} attributes `key` names a child among its siblings; objects become
 *   properties; what is false or undefined is not there
 * @property {Child[]} children
 */

/** What each node was made from. @type {WeakMap<Node, Record<string, any>>} */
const made = new WeakMap();

/**
 * @param {string} tag
 * @param {string} [name] its classes, and its parts for the page's `::part()`
 * @param {Record<string, any>} [attributes]
 * @param {Child[]} children
 * @returns {Tree}
 */
export function h(tag, name, attributes, ...children) {
  const type = tag === "button" && tag;
  return { tag, attributes: { class: name, part: name, type, ...attributes }, children };
}

/** @param {any} child */
const keyOf = (child) => child.attributes?.key;

/**
 * Children that have a `key` stay the same node as long as they are there, and are not moved when
 * others come or go: so focus, scroll position and animations survive.
 *
 * @param {Node} parent
 * @param {Child[]} children
 */
export function render(parent, children) {
  const wanted = /** @type {(Node | Tree | string | number)[]} */ (children.flat(9).filter(Boolean));
  const keys = new Set(wanted.map(keyOf));
  const known = new Map();
  for (const node of [...parent.childNodes]) {
    const key = made.get(node)?.key;
    if (keys.has(key)) known.set(key, node);
    else if (key !== undefined) node.remove();
  }
  let at = parent.firstChild;
  for (const child of wanted) {
    const key = keyOf(child);
    const node = make(key === undefined ? at : known.get(key), child);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  [...parent.childNodes].slice(wanted.length).forEach((node) => node.remove());
}

/**
 * @param {Node | null} node what may become it
 * @param {Node | Tree | string | number} child
 * @returns {Node}
 */
function make(node, child) {
  if (child instanceof Node) return child;
  if (!(child instanceof Object)) {
    const text = node instanceof Text ? node : new Text();
    if (text.data !== `${child}`) text.data = `${child}`;
    return text;
  }
  const { tag, attributes, children } = child;
  let old = made.get(/** @type {any} */ (node));
  let element = /** @type {Element} */ (node);
  if (!old || element.localName !== tag || old.key !== attributes.key) {
    element = document.createElementNS(`http://www.w3.org/${/^(svg|path)$/.test(tag) ? "2000/svg" : "1999/xhtml"}`, tag);
    old = {};
  }
  for (const name of Object.keys({ ...old, ...attributes })) {
    const value = attributes[name];
    if (value === old[name] || name === "key") continue;
    if (value instanceof Object) Object.assign(element, { [name]: value });
    else if (value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value);
  }
  made.set(element, attributes);
  render(element, children);
  return element;
}
