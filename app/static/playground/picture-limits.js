// How large a picture may be that the API draws.

const MAX_PIXELS = 64e6; // the API's limit for all images of a picture together

/** Black pixels around each image of a grid: the API's default. */
export const PADDING = 2;

/**
 * The largest scale, at most `most`, at which a picture is not too large for the API.
 *
 * @param {number} most
 * @param {number} n number of images; in a grid, that of its places
 * @param {number} side of one image, with its padding
 */
export function largestScale(most, n, side) {
  return Math.min(most, Math.floor(Math.sqrt(MAX_PIXELS / (n * side ** 2))));
}
