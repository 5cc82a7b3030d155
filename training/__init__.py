"""Training: the game, the runs, the evaluation of their results, and the command line.

    example       the plain game of 2014 in 100 lines
    cli/          the command line
    export/       turns a run into a model folder
    bulk/         draws samples by the million
    run/          a training run: loop, state on disk, alarms, `training watch`
    evaluation/   measures how good a generator and a discriminator are
    gan/          the method: game, losses, penalties, augmentation, EMA, several processes
    config        the resolved configuration of a run
    recipe        the settings of a run, as a person writes them (recipes/)
    data/         data sets: MNIST, folders, npz, IDX, glyphs
    provenance    the commit and the machine that a figure comes from
    overrides     `--set key=value`
    errors        the errors of this package
    commands      the commands that messages tell a person to type
    pictures      arrays as PNG bytes

Each may import those below it, but `export` and `bulk` do not import each other, and `recipe`, `data` and `provenance`
do not either.
`training` imports `models` and `viewer`, never `app`.
"""
