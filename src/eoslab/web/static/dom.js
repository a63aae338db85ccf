// Short names for finding and making elements, with their types.

/**
 * The element with an id; a page without it, or with another kind of element there, is a mistake.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof (kind ?? HTMLElement))) {
    throw new TypeError(`the page has no ${kind?.name ?? "element"} with the id ${id}`);
  }
  return /** @type {T} */ (found);
}

/** @param {string} id */
export const button = (id) => element(id, HTMLButtonElement);
/** @param {string} id */
export const input = (id) => element(id, HTMLInputElement);
/** @param {string} id */
export const list = (id) => element(id, HTMLSelectElement);

/**
 * All elements that a selector finds.
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export const all = (selector) => [...document.querySelectorAll(selector)].filter((e) => e instanceof HTMLElement);

/**
 * The box of a figure that its plot fills.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function plotBox(id) {
  const found = element(id).querySelector(".plot");
  if (!(found instanceof HTMLElement)) {
    throw new TypeError(`the figure ${id} has no place for a plot`);
  }
  return found;
}

/**
 * A new element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}
