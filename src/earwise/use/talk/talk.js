/* Shows a picture, records a question, and asks it spoken and typed. Nothing leaves the page but for its own server. */
const at = (id) => document.getElementById(id);
const RATE = 16000, LONGEST_SECONDS = 30, LARGEST_SIDE = 2048;
let picture = null, model = null, recording = null;

const headers = (more) => {
  const key = sessionStorage.getItem("key");
  return { ...more, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
};

async function call(path, options = {}) {
  const response = await fetch(path, { ...options, headers: headers(options.headers) });
  if (response.ok) return response;
  at("key-form").hidden = response.status !== 401;
  const told = await response.json().catch(() => null);
  throw new Error(told?.error?.message ?? `status ${response.status}`);
}

async function greet() {
  model = (await (await call("/v1/models")).json()).data[0].id;
  at("model").textContent = model;
  at("key-form").hidden = true;
}

function say(text) { at("status").textContent = text; }

/* One answer, shown while it grows. */
async function ask(content, place) {
  place.textContent = "";
  const shown = picture ? [{ type: "image_url", image_url: { url: picture } }] : [];
  const body = { model, stream: true, messages: [{ role: "user", content: [...shown, ...content] }] };
  const response = await call("/v1/chat/completions", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") continue;
      const told = JSON.parse(data);
      if (told.error) throw new Error(told.error.message);
      place.textContent += told.choices[0]?.delta?.content ?? "";
    }
  }
}

const askTyped = (text) => ask([{ type: "text", text }], at("typed"));

async function askSpoken(wav) {
  const data = await base64(wav);
  const spoken = ask([{ type: "input_audio", input_audio: { data, format: "wav" } }], at("spoken"));
  const heard = (async () => {
    at("heard").textContent = "";
    const form = new FormData();
    form.append("model", model);
    form.append("file", wav, "question.wav");
    at("heard").textContent = (await (await call("/v1/audio/transcriptions", { method: "POST", body: form })).json()).text;
    const text = at("text").value.trim() || at("heard").textContent;
    at("typed").textContent = "";
    if (text) await askTyped(text);
  })();
  await Promise.all([spoken, heard]);
}

async function base64(blob) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
  return url.slice(url.indexOf(",") + 1);
}

async function show(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const known = scale === 1 && ["image/png", "image/jpeg", "image/webp"].includes(file.type);
  let blob = file;
  if (!known) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }
  picture = `data:${blob.type};base64,${await base64(blob)}`;
  at("picture").src = picture;
  at("picture").alt = `The picture that is asked about: ${file.name}`;
  at("picture").hidden = at("remove").hidden = false;
  at("hint").hidden = true;
  say("The picture is shown to the model.");
}

function removePicture() {
  picture = null;
  at("picture").removeAttribute("src");
  at("picture").hidden = at("remove").hidden = true;
  at("hint").hidden = false;
  at("file").value = "";
  say("The picture is removed.");
}

/* Samples from pressing the button to letting it go. */
async function startRecording() {
  if (recording) return;
  const mine = (recording = { blocks: [], wanted: true, stop: () => {} });
  at("speak").setAttribute("aria-pressed", "true");
  say("Asking for the microphone.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/recorder.js");
  const node = new AudioWorkletNode(context, "recorder");
  node.port.onmessage = (event) => mine.blocks.push(event.data);
  context.createMediaStreamSource(stream).connect(node);
  mine.rate = context.sampleRate;
  mine.stop = () => { stream.getTracks().forEach((track) => track.stop()); return context.close(); };
  if (!mine.wanted) return finish(mine);  // let go before the microphone was there
  say("Listening.");
  mine.timer = setTimeout(stopRecording, LONGEST_SECONDS * 1000 - 500);
}

async function stopRecording() {
  if (!recording) return;
  const mine = recording;
  mine.wanted = false;
  if (mine.rate) await finish(mine);
}

async function finish(mine) {
  recording = null;
  clearTimeout(mine.timer);
  at("speak").setAttribute("aria-pressed", "false");
  await mine.stop();
  const count = mine.blocks.reduce((sum, block) => sum + block.length, 0);
  if (count < mine.rate / 5) return say("That was too short: hold the button while you speak.");
  const length = Math.ceil((count / mine.rate) * RATE);
  const offline = new OfflineAudioContext(1, length, RATE);
  const buffer = offline.createBuffer(1, count, mine.rate);
  let place = 0;
  for (const block of mine.blocks) { buffer.copyToChannel(block, 0, place); place += block.length; }
  const source = offline.createBufferSource();
  source.buffer = buffer;
  source.connect(offline.destination);
  source.start();
  const samples = (await offline.startRendering()).getChannelData(0);
  say("The model answers.");
  await askSpoken(wavOf(samples));
  say("Answered.");
}

/* A 16-bit mono WAV file. */
function wavOf(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (place, text) => [...text].forEach((letter, n) => view.setUint8(place + n, letter.charCodeAt(0)));
  write(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); write(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true); view.setUint32(28, 2 * RATE, true); view.setUint16(32, 2, true);
  view.setUint16(34, 16, true); write(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, n) => view.setInt16(44 + 2 * n, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}

const safely = (work) => (...args) => Promise.resolve(work(...args)).catch((error) => {
  if (recording && !recording.rate) { recording = null; at("speak").setAttribute("aria-pressed", "false"); }
  say(`That did not work: ${error.message}`);
});
const start = safely(startRecording), stop = safely(stopRecording);

at("speak").addEventListener("pointerdown", (event) => { at("speak").setPointerCapture(event.pointerId); start(); });
for (const end of ["pointerup", "pointercancel"]) at("speak").addEventListener(end, stop);
at("speak").addEventListener("keydown", (event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  if (!event.repeat) start();
});
at("speak").addEventListener("keyup", (event) => { if (event.key === " " || event.key === "Enter") stop(); });
at("speak").addEventListener("blur", stop);
at("speak").addEventListener("contextmenu", (event) => event.preventDefault());
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text) safely(async () => { say("The model answers."); await askTyped(text); say("Answered."); })();
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", at("key").value);
  at("key").value = "";
  safely(greet)();
});
at("file").addEventListener("change", () => { if (at("file").files[0]) safely(show)(at("file").files[0]); });
at("remove").addEventListener("click", removePicture);
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) safely(show)(event.dataTransfer.files[0]);
  });
}
safely(greet)();
