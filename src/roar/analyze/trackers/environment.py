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
}
"""Tracker name → variables; an entry that ends in `*` is a prefix."""
