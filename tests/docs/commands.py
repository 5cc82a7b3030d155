"""What CI does with each command of README and docs: the one table of them. A command that is not here fails a test.

A line that begins with `curl` needs no entry: it is asked of a service as it stands.
"""

from dataclasses import dataclass

from models import __version__


@dataclass(frozen=True)
class Step:
    """A command that is run.

    Attributes:
        documented: the line in the document, without its comment.
        run: what is run in its place to be quick, or with names in place of placeholders; empty: the line as it stands.
        waits: it ends by Ctrl-C only, which it gets once it has printed a line.
    """

    documented: str
    run: str = ""
    waits: bool = False

    @property
    def line(self) -> str:
        """What is run."""
        return self.run or self.documented


IN_BULK = "python -m training sample mnist-mlp --n 10_000_000 --seed 7 --out samples --format webdataset"
IMAGE = f"registry.example.com/gan-service:{__version__}"
SECRETS = "--from-literal=GAN_API_KEYS=… --from-literal=GAN_ADMIN_KEY=…"
FROM_MODEL = "--init-from mnist-conv"
FEW_PICTURES = "--set conditional=false batch_size=25 metrics_every_epochs=0 grid_every_epochs=15"
FEW_IMAGES = "--epochs 1 --set train_images=2560 judge_steps=20"

CHAINS: dict[str, tuple[Step, ...]] = {
    "train": (
        Step(
            "python -m training fit mlp",
            "python -m training fit mlp --epochs 2 --set metrics_every_epochs=1 judge_steps=50",
        ),
        Step("python -m training resume runs/mlp"),
        Step("python -m training resume runs/mlp --epochs 200", "python -m training resume runs/mlp --epochs 3"),
        Step("python -m training watch runs/mlp", "python -m training watch runs/mlp --port 0", waits=True),
        Step("python -m training export runs/mlp --to models/bundled/my-digits"),
        Step("python -m training evaluate my-digits"),
        Step("python -m training sample my-digits --n 64 --seed 7 -o grid.png"),
        Step(
            "python -m training sample my-digits --n 10_000_000 --seed 7 --out DIR --format npz",
            "python -m training sample my-digits --n 20_000 --seed 7 --out DIR --format npz",
        ),
    ),
    "your own images": (
        Step(
            "python -m training fit conv --data ~/pictures --set image_side=32 --epochs 50",
            "python -m training fit conv --data ~/pictures --set image_side=32 --epochs 1",
        ),
        Step(
            "python -m training export runs/conv --to models/bundled/my-pictures",
            "python -m training export runs/conv --to models/bundled/my-pictures --set judge_steps=50",
        ),
    ),
    "from a model": (
        Step(
            "python -m training fit conv --data ~/pictures --set image_side=28 --init-from mnist-conv",
            "python -m training fit conv --data ~/pictures --set image_side=28 --init-from mnist-conv --epochs 1",
        ),
    ),
    "from a model, few images": (
        Step(
            f"python -m training fit conv --data ~/few-pictures {FROM_MODEL} --epochs 500 {FEW_PICTURES}",
            f"python -m training fit conv --data ~/pictures {FROM_MODEL} --epochs 2 {FEW_PICTURES} image_side=28",
        ),
    ),
    "from a model, the experiment": (
        Step(
            f"python -m training fit conv --data FILE.npz {FROM_MODEL} --epochs 200 --threads 1 {FEW_PICTURES} "
            "precision=float32",
            f"python -m training fit conv --data ~/pictures {FROM_MODEL} --epochs 1 --threads 1 {FEW_PICTURES} "
            "precision=float32 image_side=28",
        ),
    ),
    "your own images, padded": (
        Step(
            "python -m training fit conv --data ~/pictures --set image_side=32 --fit pad",
            "python -m training fit conv --data ~/pictures --set image_side=32 --fit pad --epochs 1",
        ),
    ),
    "your own images, no classes": (
        Step(
            "python -m training fit conv --data ~/pictures --set image_side=32 conditional=false",
            "python -m training fit conv --data ~/pictures --set image_side=32 conditional=false --epochs 1",
        ),
    ),
    "a small set": (
        Step(
            "python -m training fit conv --data ~/pictures --set image_side=32 augmentation_target=0.5 batch_size=20 "
            "epochs=2500 grid_every_epochs=50 metrics_every_epochs=50",
            "python -m training fit conv --data ~/pictures --set image_side=32 augmentation_target=0.5 batch_size=20 "
            "epochs=1 grid_every_epochs=50 metrics_every_epochs=50",
        ),
    ),
    "photographs": (
        Step(
            "python -m training fit photos --data ~/pictures --set image_side=32 --dry-run",
            "python -m training fit photos --data ~/pictures --set image_side=32 batch_size=16 --dry-run",
        ),
        Step(
            "python -m training fit photos --data ~/pictures --set image_side=32",
            "python -m training fit photos --data ~/pictures --set image_side=32 batch_size=16 --epochs 1",
        ),
    ),
    "two processes": (
        Step(
            "python -m torch.distributed.run --nproc-per-node 2 -m training fit conv",
            f"python -m torch.distributed.run --nproc-per-node 2 -m training fit conv {FEW_IMAGES}",
        ),
    ),
    "two processes of any recipe": (
        Step(
            "python -m torch.distributed.run --nproc-per-node 2 -m training fit RECIPE …",
            f"python -m torch.distributed.run --nproc-per-node 2 -m training fit mlp {FEW_IMAGES}",
        ),
        Step(
            "python -m torch.distributed.run --nproc-per-node 2 -m training resume RUN",
            "python -m torch.distributed.run --nproc-per-node 2 -m training resume runs/mlp",
        ),
    ),
    "the paper's game, plainly": (
        Step("python -m training.example --epochs 5", "python -m training.example --epochs 1"),
    ),
    "a new D": (
        Step(
            "python -m training judge mnist-mlp --to my-judge",
            "python -m training judge mnist-mlp --to my-judge --steps 20",
        ),
        Step(
            "python -m training judge MODEL --to DIR --steps N --threads 1",
            "python -m training judge my-judge --to my-judge --data mnist --steps 20 --threads 1",
        ),
    ),
    "a report": (Step("python -m training evaluate mnist-conv --html report.html"),),
    "Stacked MNIST": (
        Step(
            "python -m training fit stacked-mnist --data stacked-mnist --threads 1",
            f"python -m training fit stacked-mnist --data stacked-mnist --threads 1 {FEW_IMAGES}",
        ),
        Step("python -m training export runs/stacked-mnist --to models/stacked-mnist"),
        Step("python -m training evaluate models/stacked-mnist --data stacked-mnist"),
    ),
    "ONNX files": (Step("python -m training onnx mnist-conv --to digits.onnx"),),
    "samples in bulk": (
        Step(
            IN_BULK,
            "python -m training sample mnist-mlp --n 3_000 --seed 7 --out samples --format webdataset",
        ),
    ),
    "samples in bulk, by several processes": (
        Step(
            f"{IN_BULK} --processes 8",
            "python -m training sample mnist-mlp --n 3_000 --seed 7 --out samples --format webdataset --processes 2",
        ),
    ),
    "speed in bulk": (
        Step("python -m benchmarks.bulk", "python -m benchmarks.bulk --images 2000 --more 3000 --formats npz"),
    ),
    "the write-up's own settings": (
        Step(
            "python -m training fit writeup --threads 1",
            f"python -m training fit writeup --threads 1 {FEW_IMAGES}",
        ),
        Step("python -m training export runs/writeup --to mnist-writeup --state last"),
    ),
    "the paper's own game": (
        Step(
            "python -m training fit goodfellow2014 --threads 1",
            f"python -m training fit goodfellow2014 --threads 1 {FEW_IMAGES}",
        ),
        Step(
            "python -m benchmarks.weight_averages keep RUN STATES",
            "python -m benchmarks.weight_averages keep runs/goodfellow2014 states",
        ),
        Step(
            "python -m benchmarks.weight_averages measure RUN STATES 1 5 10 20 30 40 60",
            "python -m benchmarks.weight_averages measure runs/goodfellow2014 states 40",
        ),
        Step(
            "python -m benchmarks.weight_averages write RUN STATES TO --halflife 40",
            "python -m benchmarks.weight_averages write runs/goodfellow2014 states runs/averaged --halflife 40",
        ),
    ),
    "speed of a bare G": (
        Step(
            "python -m benchmarks.bare_generator FOLDER 20000",
            "python -m benchmarks.bare_generator models/bundled/mnist-mlp 20000",
        ),
    ),
}
"""Commands that are run, those of a chain one after the other, in a copy of the repository: by `make test-all`."""

TAKEN: dict[str, str] = {
    **dict.fromkeys(
        (
            "python -m benchmarks.playground",
            "python -m benchmarks.training",
            "python -m benchmarks.serving --rivals .venv-rivals/bin/python",
            "python -m benchmarks.against_writeup --threads 1",
            "python -m benchmarks.against_writeup --threads 1 --estimate --times 40",
            "python -m benchmarks.projection --own 10 --test 20",
            "python -m benchmarks.photos DIR",
            "python -m benchmarks.planted_faults --threads 1",
            "python -m benchmarks.features ~/cifar --steps 250 --images 1000",
            "python -m benchmarks.features ~/fashion-mnist --steps 250 --images 1000",
            "python -m benchmarks.real_images --threads 1",
            "python -m benchmarks.tone_curve",
            "python -m benchmarks.onnx_export",
            "python -m benchmarks.anatomy --svg docs/images/anatomy.svg",
            "python -m benchmarks.dissection",
            "python -m benchmarks.latency --rounds 2 --seconds 3",
            "python -m benchmarks.scoring --connections 4",
            "python -m benchmarks.revalidation",
            "python -m benchmarks.archives",
            "python -m benchmarks.queueing --rounds 2 --seconds 2",
            "python -m benchmarks.production",
            "python -m benchmarks.production --base REV",
        ),
        "takes minutes to hours of a quiet machine; tests/benchmarks runs short forms",
    ),
    **dict.fromkeys(
        (
            "python -m reliability.training_kills --kills 50",
            "python -m reliability.training_full_disk",
            "python -m reliability.training_two_at_once --tries 5",
            "python -m reliability.overload --seconds 6",
            "python -m reliability.slow_clients --seconds 4",
            "python -m reliability.shutdown --tries 3",
            "python -m reliability.faults --tries 20",
            "python -m reliability.soak --minutes 60 --warm-up-minutes 6",
            "python -m reliability.api_fuzz --cases 20000",
            "python -m reliability.hostile_uploads --images 5000",
            "python -m reliability.hostile_folders",
        ),
        "a trial of minutes to an hour, some of which judge times; tests/reliability runs short forms",
    ),
}
"""Commands whose arguments are taken as they stand, with which nothing is done; and why they are not run."""

SKIPPED: dict[str, str] = {
    "python -m training evaluate fashion --data ~/fashion-mnist --full --features classifier --threads 1": (
        "takes minutes and needs Fashion-MNIST; tests/training/cli/test_cli.py runs the option on few images"
    ),
    "python -m training evaluate mnist-mlp --full --threads 1 --html report.html": (
        "takes minutes; tests/training/cli/test_cli.py runs it on few images"
    ),
    (
        "python -m training fit conv --data fashion-mnist --threads 1 --set train_images=100 epochs=1600 batch_size=32 "
        "grid_every_epochs=40 judge_steps=0 quantise=false"
    ): "takes a quarter of an hour, and needs Fashion-MNIST",
    "python -m training fit photos --data cifar.npz --threads 1": (
        "needs CIFAR-10, which does not come with the project; the chain `photographs` runs the recipe"
    ),
    (
        "python -m training fit photos --data cifar10/train --threads 1 --set generator_optimiser.learning_rate=4e-4 "
        "discriminator_optimiser.learning_rate=4e-4 epochs=14 metrics_every_epochs=7"
    ): "takes half an hour, and needs CIFAR-10; the chain `photographs` runs the recipe",
    "make train-env": "makes an environment; `make test` makes a larger one",
    ". .venv/bin/activate": "changes the shell that it is typed into",
    "make train-env && . .venv/bin/activate": "the two lines above in one",
    "GAN_PORT=9000 GAN_DEFAULT_MODEL=mnist-mlp python -m app": (
        "a service that does not end; most tests of the service start it with such settings"
    ),
    "python -m reliability.unchanged REV [--only answers|training|bulk]": (
        "compares two revisions for ten minutes; tests/reliability/test_unchanged.py sees that it finds a difference"
    ),
    "make serve": "makes an environment; what it starts is started by most tests of the service",
    "GAN_PORT=9000 GAN_API_KEYS=first-key,second-key GAN_LOG_FORMAT=json python -m app": (
        "serves until it is told to end; the tests of the service start it with these settings"
    ),
    "make test": "this is a part of it",
    "make test-all": "this is a part of it",
    "python -m pytest tests/training/data/test_image_folder.py": "a part of `make test`",
    "python -m pytest tests/reliability/test_data_folders.py": "a part of `make test`",
    "python -m reliability.hostile_json": "judges times, so it needs a quiet machine; tests/app/api sends such bodies",
    **dict.fromkeys(
        ("docker compose up", "docker compose --profile cuda up cuda"),
        "needs Docker; tests/test_container.py reads the files",
    ),
    **dict.fromkeys(
        (
            f"docker build -t {IMAGE} . && docker push {IMAGE}",
            "kubectl create namespace gan",
            f"kubectl -n gan create secret generic gan-keys {SECRETS}",
            "kubectl -n gan create secret tls gan-tls --cert=FILE --key=FILE",
            "kubectl apply -k deploy/kubernetes/overlays/production",
            "kubectl -n gan rollout status deployment/gan-service",
        ),
        "needs a registry or a cluster; tests/test_kubernetes.py builds and checks the manifests",
    ),
    **dict.fromkeys(
        (
            "apt-get install nginx-light && install -d -o www-data /var/cache/nginx",
            "cp deploy/nginx/gan-cache.conf /etc/nginx/conf.d/ && nginx -t && systemctl reload nginx",
        ),
        "changes the machine; tests/app/server/test_nginx.py runs that file in an nginx",
    ),
    **dict.fromkeys(
        ("make gpu-check", "make gpu-check PICTURES=FOLDER MINUTES=30", "make gpu-check DEVICE=cpu"),
        "needs a GPU, or hours of a CPU; tests/benchmarks/test_gpu.py rehearses it on the CPU in small",
    ),
    "make .venv-rivals/.rivals": "installs gigabytes of other model servers, which `make bench` uses",
    **dict.fromkeys(
        (
            "pip install '.[app,ray]' -c constraints.txt",
            "make .venv-ray/.ray",
            "serve run app.ray:app",
            "serve deploy deploy/ray-serve.yaml",
            ".venv-ray/bin/python -m benchmarks.ray_serve",
            "python -m reliability.ray_kill --kills 10",
            f"{IN_BULK} --ray",
        ),
        "needs Ray; `make test-ray` starts both ingresses and draws samples by Ray Data",
    ),
}
"""Commands that are not run here, and why."""

NOT_COMMANDS: dict[str, str] = {
    'np.load("samples/shard-000000.npz")["images"]': "Python; test_training_commands.py runs it",
    (
        "app/  __main__ command_line main settings environment problems malloc late_imports request_headers ray "
        "write_openapi write_reference"
    ): "a map of the rooms",
    "event loop's thread                                            engine's thread": "a drawing of a request",
    "jobs that wait             one call of G                             the event loop": "a drawing of a batch",
}
"""Blocks that are not for a shell, by their first line."""
