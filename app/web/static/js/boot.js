// What the server put into the page: language, sentences, presets and the first answer.

export const boot = JSON.parse(document.getElementById("boot").textContent);
