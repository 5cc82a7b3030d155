"""The format of a model folder: which files it holds, how they are named, and how large they may be.

    <name>/
      model.safetensors   tensors `generator.*`, `discriminator.*` and, if the metadata says so, `encoder.*`, float32 or
                          float16; and the metadata with the format's version (`models.model_folder.metadata`)
      history.json        one record for each epoch (`models.model_folder.history`)
      timeline/*.png      images of the same latents at recorded epochs; the file's name is the epoch
      CARD.md             a description for people
      model.onnx, model-d.onnx   G and D as ONNX files, if they were asked for; the service does not read them
      features.safetensors   optional: the network in whose features `training evaluate` compares images; no other
                             program reads it

`models.model_folder.read` checks and reads such a folder, `models.model_folder.write` writes one.
"""

import struct

import torch

WEIGHTS_FILE = "model.safetensors"
HISTORY_FILE = "history.json"
TIMELINE_FOLDER = "timeline"
CARD_FILE = "CARD.md"
FEATURES_FILE = "features.safetensors"

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
"""The names that a model folder may have. They are limited because they become part of URLs."""

MAX_WEIGHTS_BYTES = 512 * 2**20
MAX_HEADER_BYTES = 4 * 2**20
"""Size limit of the header of model.safetensors, which holds the metadata and the tensors' names and shapes."""

MAX_TEXT_BYTES = 16 * 2**20
"""Size limit of history.json, and of CARD.md."""

MAX_PICTURE_BYTES = 16 * 2**20
MAX_TIMELINE_PICTURES = 10_000

STORED_DTYPES = (torch.float32, torch.float16)
"""The dtypes that tensors may have in model.safetensors. They are converted to float32 when they are loaded."""

HEADER_LENGTH = struct.Struct("<Q")
"""The first bytes of a safetensors file: the length of its header, in bytes."""

REPLACE = "copy or export the model again"
"""The advice in the error messages of a damaged model folder."""
