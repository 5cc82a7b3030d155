"""The rules by which bundled models were trained whose files are older than the metadata's field `rules`.

New metadata would change a model's hash, and with it the permanent URLs of its images. The recipe and the commit of the
code that trained a model are in the old metadata, and settle its rules: no setting of these was changed for the runs.
"""

from models.model_folder.game_rules import GameRules

_RELATIVISTIC = GameRules(loss="relativistic", r1_gamma=1.0, r2_gamma=1.0)

EARLIER_RULES: dict[tuple[str, str], GameRules] = {
    ("conv", "9084e1f8c8a2d9b3c1b1f1a9263eee69a2c1788e"): _RELATIVISTIC,
    ("mlp", "20866167591dbe058374272cb8eb4202932cdac5"): _RELATIVISTIC,
    ("goodfellow2014-labels", "94f3a8e0621cba2b3d3f98c41f1ae7b8f8d1ae0b"): _RELATIVISTIC,
}
"""The rules by recipe and commit. The D of each of these models was trained on after the game, so it is a judge."""
