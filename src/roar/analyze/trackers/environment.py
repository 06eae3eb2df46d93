"""The environment variables that the built-in trackers look at.

They stand apart from the trackers because the tracer needs them before the command starts, when every millisecond
counts: this module imports nothing. None of them holds a secret; hosts inside tokens are decoded by the tracker
itself (`Tracker.token_hosts`) and never travel with the token.
"""

ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "wandb": (
        "WANDB_BASE_URL", "WANDB_APP_URL", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_RUN_ID", "WANDB_RUN_GROUP",
        "WANDB_SWEEP_ID", "WANDB_MODE", "WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR",
        "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    ),
    "mlflow": (
        "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_WORKSPACE",
        "MLFLOW_ALLOW_FILE_STORE", "DATABRICKS_HOST", "XDG_CONFIG_HOME",
    ),
    "neptune": ("NEPTUNE_PROJECT", "NEPTUNE_CUSTOM_RUN_ID", "NEPTUNE_MODE", "NEPTUNE_API_ADDRESS"),
    "tensorboard": (),
    "clearml": (
        "CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_CONFIG_FILE", "CLEARML_TASK_ID", "CLEARML_OFFLINE_MODE",
        "CLEARML_CACHE_DIR", "CLEARML_PROC_MASTER_ID", "TRAINS_API_HOST", "TRAINS_WEB_HOST", "TRAINS_CONFIG_FILE",
    ),
    "comet": (
        "COMET_WORKSPACE", "COMET_PROJECT_NAME", "COMET_EXPERIMENT_ID", "COMET_URL_OVERRIDE",
        "COMET_OFFLINE_DIRECTORY", "COMET_BASE_ADDRESS",
    ),
    "aim": (),
    "trackio": ("TRACKIO_DIR", "TRACKIO_SERVER_URL", "TRACKIO_SPACE_ID", "HF_HOME"),
    "swanlab": (
        "SWANLAB_MODE", "SWANLAB_PROJECT", "SWANLAB_PROJ_NAME", "SWANLAB_WORKSPACE", "SWANLAB_RUN_ID",
        "SWANLAB_API_HOST", "SWANLAB_WEB_HOST", "SWANLAB_LOGDIR", "SWANLAB_LOG_DIR", "SWANLAB_SAVE_DIR",
    ),
    "dvc": ("DVC_SITE_CACHE_DIR",),
    "dvclive": ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"),
    "sacred": (),
    "polyaxon": (
        "POLYAXON_RUN_INSTANCE", "POLYAXON_HOST", "POLYAXON_PLATFORM_HOST", "POLYAXON_OFFLINE_ROOT",
        "POLYAXON_CONTEXT_ROOT", "POLYAXON_ARTIFACTS_ROOT",
    ),
    "guild": ("GUILD_HOME",),
    "determined": ("DET_MASTER", "DET_EXPERIMENT_ID", "DET_TRIAL_ID", "DET_CLUSTER_ID", "DET_TASK_ID"),
    "ray": (),
    "visualdl": (),
    "goodseed": ("GOODSEED_HOME", "GOODSEED_APP_URL"),
    "pluto": ("PLUTO_URL_APP",),
}
"""Tracker name → variables; an entry that ends in `*` is a prefix."""

TOKENS: dict[str, tuple[str, ...]] = {"neptune": ("NEPTUNE_API_TOKEN",), "comet": ("COMET_API_KEY",)}
"""Tracker name → secrets that hide the address of a server; only that address is ever taken out of them."""
