"""Pixels in and out.

In: `uploads` decodes files, and `digit_photo` makes an MNIST-like digit of a photo. Out: `png`, `animations` (GIF and
WebP), `archives` (npz and zip), and `saliency_overlay`, a gradient as a picture.

May import `app.problems` and `models`.
"""
