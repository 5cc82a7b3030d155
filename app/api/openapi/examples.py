"""Answers of the bundled model `mnist-conv`, for the examples of the OpenAPI document.

The uploaded file of the examples, `seven.png`, is the first image of MNIST's test set. The samples are those of seed 7.
tests/app/api/test_openapi.py compares all examples with a running service. When the model has been trained anew, its
failures say what to change here and in `app.api.schemas`.
"""

MODEL = "mnist-conv"
SHA256 = "f54e899d7a555ba65b9c8fc9fcb9837451d684f0b21998e9fcbac13f32a0913b"
REFERENCE = f"{MODEL}@{SHA256[:12]}"

SAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAABRklEQVR4AWIYWPD43x9ZXNYL//n/LxKrDAMDw4n///8fNcYqxaDw9////3///v3zYl"
    "uIAbr8tf////0+AVLx789jBxQpBpa///9/m/D5//9/f//9/bsdSYaBgWH7//8r2BL//P3TVfnn778HSDIMDNl////VZGAqkBUU4Sn99u+vOUKKQfLv"
    "//+XNWG8ur//7jIgQPk/kEY4WPXvLxcDHGz//38fAwKI/P1/nQEO/vz/H8uABN7//wtjMjD8/f/PigEJrP3/FxFWf/7/lWJAAj1//6bB2AzX/v1thr"
    "AgaPvfv+0MMBD99997SzALDMX+/PsoB2JAwLF/fx/msDAwMPArmHrnffn/v48BAaw//v37696XP3+efP779++/v7+ZGJCA2xmQ4L///0BB/2s9kqFg"
    "msd11r5ff/7++bk/TwVFH31ZgAEAq4KkHBymLCYAAAAASUVORK5CYII="
)
"""The PNG of image 0 of seed 7, as base64."""

UPLOAD_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAv0lEQVR4AWIYdiBk5/zpNio4/HTv379//z4eg4JVJihqnIs8ihY//vfw379/v5"
    "7++9eDkIFRgk58zs7O1qJv/mWB+dhg8N+LQhiCUJ7Yy//BDLhA4793OlglGBgYrH/+s8MqARJp/beblQEH4Dz7wwqbOFig7t82EIUVeP/+YIkp"
    "CuEK3/23jAEHYD7977YyNgmQgNq/f74MOID8g3/FjNgkQAKt//6hxhUS0/YTHsnKf/9ua+CWPI8zqrCIAgYA6EVIF1F3wqcAAAAASUVORK5CYI"
    "I="
)
"""The image that D sees of `seven.png`: a PNG, as base64."""

PROJECTION_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAzklEQVR4AWIYdiBv56aZgcIsDEzYvLX/999/f/98vLt//c1ff/9OkEJRYBdStfLklz"
    "9/3r//duL3v78TEDIwilfBQFmGgcH+799mMB8b9Pr7GEMMzrv3NwzCwIKa/6xBF4JzRB7+dmDABSb8PYFVHCSi/eevNgMusOrvdqziIBGXP79tGHAA"
    "8fd/p2ETBwv0/n0hx4ADuP3544ZNHCQg+PDvfgZcoObvH3OsEgwMDDLX/97GKgESyf/zZwoDLlDx9jobVgmwiJYKiESCgAEAbEJHrllVFegAAAAASU"
    "VORK5CYII="
)
"""The image of G that is nearest to `seven.png`: a PNG, as base64."""

GAME = (
    "G and D played the relativistic game, with the penalties R1 and R2 and labels of 10 classes; D took one step for "
    "each step of G."
)

OPTIMUM = {"game": "the relativistic game", "loss": 0.6931471805599453, "output": None, "value": None}

EVALUATION = {
    "frechet": 2.619,
    "precision": 0.928,
    "recall": 0.903,
    "coverage": 0.926,
    "parzen_ll": 244.1,
    "auroc": 0.477,
}

_TONE_CURVE = (
    "0 0 0 0 0 0 0 0 0 2 4 6 8 10 12 13 15 17 19 20 22 23 25 26 28 29 30 32 33 35 36 37 38 40 41 42 43 45 46 47 "
    "48 50 51 51 53 54 55 56 57 58 59 60 61 62 63 64 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 "
    "84 84 85 85 86 86 88 89 89 91 91 92 93 94 95 96 97 98 98 99 100 101 102 103 104 104 105 106 107 108 109 109 "
    "110 111 112 113 113 114 114 115 116 117 118 119 120 120 121 122 123 124 125 125 126 127 128 128 128 128 128 "
    "129 130 130 131 132 133 134 134 135 136 137 138 139 139 140 141 141 142 143 144 145 146 147 148 148 149 150 "
    "151 152 153 154 155 155 156 157 158 159 160 161 162 163 164 165 167 168 168 169 170 170 171 172 173 175 176 "
    "177 178 179 180 182 183 184 185 187 188 189 190 191 191 192 194 195 196 197 198 200 201 203 204 205 207 208 "
    "210 211 213 214 215 217 219 221 222 224 225 227 228 230 232 233 235 237 239 241 243 244 246 249 250 251 252 "
    "252 252 252 252 252 253 253 253 253 253 253 254 255"
)

METADATA = {
    "format_version": 4,
    "architecture": {
        "name": "conv",
        "generator_widths": [512],
        "generator_channels": [64, 32],
        "batch_normalisation": False,
        "discriminator_channels": [32, 64],
        "maxout_units": [240],
        "maxout_pieces": 2,
        "leaky_slope": 0.2,
        "input_keep_probability": 1.0,
        "hidden_keep_probability": 1.0,
        "group_deviation": False,
    },
    "z_dim": 64,
    "prior": "normal",
    "image_shape": {"channels": 1, "height": 28, "width": 28},
    "classes": 10,
    "packing": 1,
    "quantised": False,
    "tone_curve": [int(level) for level in _TONE_CURVE.split()],
    "encoder": None,
    "dataset": "mnist",
    "recipe": "conv",
    "rules": {
        "loss": "relativistic",
        "r1_gamma": 1.0,
        "r2_gamma": 1.0,
        "gradient_penalty": 0.0,
        "spectral_norm": False,
        "d_steps": 1,
        "clusters": 0,
    },
    "judge": True,
    "seed": 0,
    "epochs": 32,
    "images_seen": 1918976,
    "git_commit": "9084e1f8c8a2d9b3c1b1f1a9263eee69a2c1788e",
    "calibration": {
        "real": [-25.84, -0.2883, 17.98],
        "generated": [-21.05, 0.08231, 16.93],
        "varied": [-19.28, -2.407, 15.21],
    },
    "evaluation": EVALUATION,
    "licence": "MIT (weights); MNIST: CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    "game": GAME,
}

EPOCH = {
    "epoch": 2,
    "images": 119936,
    "seconds": 272.261,
    "loss_d": 0.6602,
    "loss_g": 0.8227,
    "d_real": 0.5451,
    "d_fake": 0.5225,
    "value": -1.3582,
    "metrics": {"frechet": 13.316, "precision": 0.8962, "recall": 0.85},
}
