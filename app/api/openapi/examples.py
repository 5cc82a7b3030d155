"""Answers of the bundled model `mnist-conv`, for the examples of the OpenAPI document.

The uploaded file of the examples, `seven.png`, is the first image of MNIST's test set. The samples are those of seed 7.
tests/app/api/test_openapi.py compares all examples with a running service. When the model has been trained anew, its
failures say what to change here and in `app.api.schemas`.
"""

MODEL = "mnist-conv"
SHA256 = "2ca2f41f6dd02ca6ee95c8cc7a0048a6fb325e6737ea038f7aad55ddbc3e7631"
REFERENCE = f"{MODEL}@{SHA256[:12]}"

SAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAABaklEQVR4AWIYWPD43xdJXNYLffv/L4QRqxQDy8X///+f12ZkZGJkxFAi/ef///"
    "9/fv36/OygjwaaLOPt////fbz49/////8+PbZAlmJg4Pr7//+7WW/+///359/fP4eYkKQYGA/9/7+FO+b770+Tqr79+feQGS7DwMCY8ff/HyVG"
    "zjxJQWG+0nf//ujBZBgYGMR+/P9/UwnqDI6GP//ugxhQUP7v/y+YHAMD8/Z/f3mhbAYGhkP//59AcoPwr/93YGwGhs///0cwIADjq/8/EU76+f"
    "+fIQMS2PX/jxaMzfD1/y9xCAuCpv79kcQAA7f//elCmMPAfOjvj364+0J//XtlAJZlZGJkYBT5/O+1FFyS6cK/P48yudhY2QWkdZxz3v7/PwMi"
    "AUZGr3///vDg7ZdvT978+Pn739+PnAwIwGR35defv//+/f/3//+/Xx92S0HFIZiRhc926YkP335+eX8yR44TbiHdScAAH06jo+hQS9MAAAAASU"
    "VORK5CYII="
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
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAA6UlEQVR4AWIYboAxfduuBZ4iXGwcrCwsrMyofuM88eHXv9+fXt/cu+rC6y/f5s"
    "kzIkky2fmWzj/25uv31y/eXv3w99diZEkGBgZGJjZBOU15aS5ml98/W9AkEWyPX/c5GHAA7gffw7CJgwSYJnw+yAZiYANCDz864LKRadKPCzg1"
    "an34roJdhoGBZduPHSxYZRgYGB0/vTfDYSOj6POfS3FpZJ3487kcVhkGBkabz9+9cBjKIPLg1zm06IKzGRt/fTODMDGR7O1fd1nRxGBsxoKP32"
    "bgspGx8elNLqwyIBEWdZTUwcDAABgANZVHklJYQ7EAAAAASUVORK5CYII="
)
"""The image of G that is nearest to `seven.png`: a PNG, as base64."""

GAME = (
    "G and D played the relativistic game, with the penalties R1 and R2 and labels of 10 classes; D took one step for "
    "each step of G."
)

OPTIMUM = {"game": "the relativistic game", "loss": 0.6931471805599453, "output": None, "value": None}

EVALUATION = {"frechet": 2.513, "precision": 0.93, "recall": 0.9, "coverage": 0.929, "parzen_ll": 245.4, "auroc": 0.495}

METADATA = {
    "format_version": 2,
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
        "real": [-25.66, -0.1086, 18.16],
        "generated": [-20.98, 0.01659, 16.79],
        "varied": [-19.1, -2.227, 15.39],
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
