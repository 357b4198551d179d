/** What is heard when something has come, if somebody wants that. */

/** @type {AudioContext | undefined} */
let audio;

export function beep() {
  audio ??= new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = 880;
  volume.gain.setTargetAtTime(0, audio.currentTime, 0.08);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.4);
}
