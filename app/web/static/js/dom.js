// Elements without a framework: `h` and `s` make nodes, `render` turns what is there into what shall be
// there, keeping nodes (and so focus, scroll and running transitions) wherever tag and key agree.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element; `false`, null and undefined props and children are left out. `value` is what a box shows
 * whenever the page is drawn, but while it is being typed in; `initial` only what it begins with.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "value") setValue(node, value);
    else if (name === "initial") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    node.append(child);
  }
  if (node.localName === "select" && node.wanted !== undefined) node.value = node.wanted;
  return node;
}

function setValue(node, value) {
  node.wanted = value;
  node.value = value;
}

/** Make the children of `place` those given; one that is there already is left as it is. */
export function render(place, ...nodes) {
  const wanted = nodes.flat(Infinity).filter((node) => node !== undefined && node !== null && node !== false);
  morphChildren(place, wanted.map((node) => (typeof node === "string" ? document.createTextNode(node) : node)));
}

function morphChildren(place, wanted) {
  let here = place.firstChild;
  for (const node of wanted) {
    if (node === here) {
      here = here.nextSibling; // left as it is
    } else if (here && alike(here, node)) {
      morph(here, node);
      here = here.nextSibling;
    } else {
      place.insertBefore(node, here);
      if (here && !wanted.some((other) => other !== node && alike(here, other))) {
        const gone = here;
        here = here.nextSibling;
        gone.remove();
      }
    }
  }
  while (here) {
    const gone = here;
    here = here.nextSibling;
    gone.remove();
  }
}

function alike(a, b) {
  if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) return false;
  return a.nodeType !== 1 || a.getAttribute("data-key") === b.getAttribute("data-key");
}

function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphChildren(old, [...fresh.childNodes]);
  if (fresh.wanted !== undefined) {
    old.wanted = fresh.wanted;
    if (old !== document.activeElement || old.localName === "select") old.value = fresh.wanted;
  }
  if (old.type === "checkbox") old.checked = fresh.hasAttribute("checked");
}

// One listener for the whole page: elements name what they do in data-act (click) and data-input.
const actions = new Map();

/** Say what `name` does: called with the element's data-arg, the event and the element. */
export function on(name, action) {
  actions.set(name, action);
}

/** Do by name what an element would. */
export function act(name, argument, event, element) {
  return actions.get(name)?.(argument, event, element);
}

document.addEventListener("click", (event) => {
  const element = event.target.closest?.("[data-act]");
  if (!element || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  act(element.dataset.act, element.dataset.arg, event, element);
});
for (const kind of ["input", "change"]) {
  document.addEventListener(kind, (event) => {
    const element = event.target.closest?.("[data-input]");
    if (element) act(element.dataset.input, element.dataset.arg, event, element);
  });
}

export const $ = (id) => document.getElementById(id);

const ICONS = {
  star: "M12 4l2.4 5 5.6.7-4 3.9 1 5.4-5-2.7-5 2.7 1-5.4-4-3.9 5.6-.700z",
  moon: "M20 14.500A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.500z",
  clock: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  down: "M12 4v11m-5-4 5 5 5-5M5 20h14",
  grid: "M4 6h16M4 12h10M4 18h7",
  help: "M9 9a3 3 0 1 1 4 3c-.7.4-1 1-1 2M12 17.500v.100M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
};

/** A drawn sign; its meaning is said by the button around it. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}
