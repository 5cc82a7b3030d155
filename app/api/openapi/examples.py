"""Answers of the bundled model `mnist-conv`, for the examples of the OpenAPI document.

The uploaded file of the examples, `seven.png`, is the first image of MNIST's test set. The samples are those of seed 7.
tests/app/api/test_openapi.py compares all examples with a running service. When the model has been trained anew, its
failures say what to change here and in `app.api.schemas`.
"""

MODEL = "mnist-conv"
SHA256 = "986e58fa647457a08043f89c908aa3ac5c29580f87a3663ea8ffdae92cf342ad"
REFERENCE = f"{MODEL}@{SHA256[:12]}"

SAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAABRklEQVR4AWIYWPDi3x9ZXNZL/vn3LwarDAMDw7H////vV8MqxSD79///f3///v3zbE+0"
    "Mbr85f////0+/vf//////jxyQJFiYPn7//+3Kd9Auv/9+7sDSYaBgWH////zmBL//v3TmPPn779HSDIMDDX//v/VZWAokOQXZMn88u8vsq2Kf///v6AF"
    "43b+/XeTAQHq/v3/ixQA6/795YKxGRj2/P+/mQEBxP7+R9L65/+/CBgbRDz7/xdEQcDf//+MGJDAqv9/EV79+/+vCAMSaPv7NxPGZnj0728thAVB6//+"
    "bWCAgdS//96bgllgKPbn3w8FEAMCjv/7+yyLjYGBQVjDPbD42///cxgQwOHT379/Hn778+fZj79///77+4eFAQl4HQcJ/vv/DxT0vzYpwsShBIfLrO1f"
    "/vz982N/kSYTSGBgAGAAqlOkRv2Q8k4AAAAASUVORK5CYII="
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
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAA0klEQVR4AWIYdqD68L5l8WIQPzGBCGSw9ffff3//vL6wfdXNP3//TpSES4BIXa+82Xvf"
    "//nz7cuvI3/+/W1lwAA8mg56ykwMIX//NqBKIDFj/r6EMTGJh38z0EQQ7IY/W6AsTCx477czmhCC3fn3OJSFifX+/NVGE0Kwt/7dCmVhYs8/v+zQhOBs"
    "mfd/pzPgAhP+vpTFKsHAwOD25487VgkGBgax63/3YJUAiZT+/WPNgAOIn/17DZs4WCD1258pDLhAwZNLLFglwCIaaiASCQIGANzCR7lU6IhuAAAAAElF"
    "TkSuQmCC"
)
"""The image of G that is nearest to `seven.png`: a PNG, as base64."""

GAME = (
    "G and D played the relativistic game, with the penalties R1 and R2 and labels of 10 classes; D took one step for "
    "each step of G."
)

OPTIMUM = {"game": "the relativistic game", "loss": 0.6931471805599453, "output": None, "value": None}

EVALUATION = {
    "frechet": 2.625,
    "precision": 0.928,
    "recall": 0.905,
    "coverage": 0.925,
    "parzen_ll": 243.9,
    "auroc": 0.478,
}

_TONE_CURVE = (
    "0 0 0 0 0 0 0 0 0 2 4 6 8 10 12 13 15 17 19 20 22 23 25 26 28 29 30 32 33 35 36 37 38 40 41 42 43 45 46 47 "
    "48 50 51 51 53 54 55 56 57 58 59 60 61 62 63 64 64 64 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 82 "
    "83 84 85 85 86 86 88 89 89 90 91 92 93 94 95 96 96 97 98 99 100 101 102 102 103 104 105 106 107 108 108 109 "
    "110 111 112 112 113 114 114 115 116 117 118 119 119 120 121 122 123 124 125 125 126 127 128 128 128 128 128 "
    "128 129 130 131 132 132 133 134 135 136 137 138 139 139 140 141 141 142 143 144 145 145 146 147 148 149 150 "
    "151 152 152 153 154 155 156 157 158 159 160 161 162 163 164 165 166 168 168 169 170 170 171 172 173 174 175 "
    "177 178 179 180 181 183 184 185 186 188 189 190 191 191 192 193 195 196 197 198 199 201 202 203 205 206 208 "
    "210 211 213 214 215 217 218 220 222 223 225 226 228 230 232 233 235 236 239 241 242 244 246 248 250 251 252 "
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
    "class_names": list("0123456789"),
    "packing": 1,
    "quantised": True,
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
        "real": [-25.82, -0.2727, 18.0],
        "generated": [-21.67, 0.1024, 17.26],
        "varied": [-19.26, -2.391, 15.23],
    },
    "evaluation": EVALUATION,
    "licence": "MIT (weights); MNIST: CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    "game": GAME,
    "name": MODEL,
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
