// Makes the browser show a photo as the service reads it: upright, and the first picture of an animation.
//
// Browsers turn JPEG and PNG files by the orientation in their EXIF data; some, such as Chromium, do not turn WebP files.
// The service turns all of them, and its boxes are those of the upright photo. Browsers play an animation; the service
// reads its first picture.

const ORIENTATION = 0x0112; // the tag in EXIF data (CIPA DC-008, 4.6.4)

/** A WebP file of 2 × 1 pixels with the orientation 6: in a browser that turns it, its width is 1. */
const SIDEWAYS = "data:image/webp;base64,UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=";

/** How a canvas is transformed to draw a picture of this width and height upright, by the orientation; 1 is upright. */
const TRANSFORMS = {
  2: (width) => [-1, 0, 0, 1, width, 0],
  3: (width, height) => [-1, 0, 0, -1, width, height],
  4: (width, height) => [1, 0, 0, -1, 0, height],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (width, height) => [0, 1, -1, 0, height, 0],
  7: (width, height) => [0, -1, -1, 0, height, width],
  8: (width) => [0, -1, 1, 0, 0, width],
};

/** A file that the browser shows as the service reads it: the file itself, or a PNG of its pixels. */
export async function asRead(file) {
  try {
    const orientation = await orientationOfWebp(file);
    const turn = Object.hasOwn(TRANSFORMS, orientation) && !(await browserTurns());
    if (!turn && !(await isAnimated(file))) return file;
    const url = URL.createObjectURL(file);
    try {
      return await painted(await decoded(url), turn ? orientation : 1);
    } finally {
      URL.revokeObjectURL(url);
    }
  } catch {
    return file; // what is wrong with it is told by the service
  }
}

let turns; // whether the browser turns WebP files, asked once

function browserTurns() {
  turns ??= decoded(SIDEWAYS).then(({ naturalWidth }) => naturalWidth === 1);
  return turns;
}

async function decoded(url) {
  const image = Object.assign(new Image(), { src: url });
  await image.decode();
  return image;
}

/** A PNG of a picture, turned; of an animation, a canvas paints the first picture. */
async function painted(image, orientation) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, orientation >= 5 ? { width: height, height: width } : { width, height });
  const context = canvas.getContext("2d");
  if (Object.hasOwn(TRANSFORMS, orientation)) context.setTransform(...TRANSFORMS[orientation](width, height));
  context.drawImage(image, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) throw new Error("the canvas is too large for this browser");
  return blob;
}

/** The orientation in the EXIF data of a WebP file; 1 if it has none, or if the file is of another format. */
async function orientationOfWebp(file) {
  const head = await read(file, 0, 16);
  if (text(head, 0) !== "RIFF" || text(head, 8) !== "WEBP" || text(head, 12) !== "VP8X") return 1;
  for (let at = 12; at + 8 <= file.size; ) {
    const chunk = await read(file, at, 8);
    const length = chunk.getUint32(4, true);
    if (text(chunk, 0) === "EXIF") return orientationOf(await read(file, at + 8, length));
    at += 8 + length + (length % 2);
  }
  return 1;
}

/** Whether a file is a GIF, an animated WebP or an animated PNG. */
async function isAnimated(file) {
  const head = await read(file, 0, 32);
  if (text(head, 0) === "GIF8") return true;
  if (text(head, 0) === "RIFF" && text(head, 12) === "VP8X") return (head.getUint8(20) & 2) !== 0;
  if (text(head, 1, 3) !== "PNG") return false;
  for (let at = 8; at + 12 <= file.size; ) {
    const chunk = await read(file, at, 8);
    const kind = text(chunk, 4);
    if (kind === "acTL" || kind === "IDAT") return kind === "acTL";
    at += 12 + chunk.getUint32(0);
  }
  return false;
}

/** The orientation in EXIF data: in a TIFF file's first directory. */
function orientationOf(exif) {
  const start = text(exif, 0) === "Exif" ? 6 : 0;
  const little = text(exif, start, 2) === "II";
  const directory = start + exif.getUint32(start + 4, little);
  for (let entry = 0; entry < exif.getUint16(directory, little); entry += 1) {
    const at = directory + 2 + 12 * entry;
    if (exif.getUint16(at, little) === ORIENTATION) return exif.getUint16(at + 8, little);
  }
  return 1;
}

async function read(file, start, length) {
  return new DataView(await file.slice(start, start + length).arrayBuffer());
}

function text(bytes, start, length = 4) {
  return String.fromCharCode(...Array.from({ length }, (_, place) => bytes.getUint8(start + place)));
}
