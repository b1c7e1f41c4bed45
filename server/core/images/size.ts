/** Width and height of an image in pixels, neither 0. */
export type ImageSize = { readonly width: number; readonly height: number };
