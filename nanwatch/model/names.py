"""What a printed name means: loss or metric, training or validation, better up or better down, or a reserved field."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Role = Literal[
    "epoch", "epochs", "batch", "batches", "step", "steps", "lr", "vram", "grad_norm",
    "eta", "rate", "time", "skips", "nans", "ignore", "loss", "metric",
]  # fmt: skip

_RESERVED: dict[str, Role] = {
    "epoch": "epoch", "ep": "epoch", "epochs": "epochs", "num_epochs": "epochs", "max_epochs": "epochs",
    "total_epochs": "epochs", "n_epochs": "epochs", "num_train_epochs": "epochs",
    "batch": "batch", "minibatch": "batch", "batch_idx": "batch", "batches": "batches",
    "train_batches": "batches", "num_batches": "batches", "steps_per_epoch": "batches",
    "step": "step", "iter": "step", "iteration": "step", "global_step": "step", "it": "step",
    "num_updates": "step", "update": "step", "updates": "step", "current_steps": "step", "iters": "step",
    "max_steps": "steps", "total_steps": "steps", "max_iters": "steps", "steps": "steps",
    "lr": "lr", "learning_rate": "lr", "learningrate": "lr", "lr0": "lr", "base_lr": "lr", "train_lr": "lr",
    "lr/pg0": "lr", "lrs": "lr",
    "vram": "vram", "mem": "vram", "memory": "vram", "gpu_mem": "vram", "max_mem": "vram", "gpu": "vram",
    "gpu_memory": "vram", "max_memory": "vram", "gpu_mem_gb": "vram", "vram_gb": "vram", "cuda_mem": "vram",
    "mem_gb": "vram", "memory_gb": "vram", "peak_mem": "vram", "peak_memory": "vram", "gpumem": "vram",
    "gpu_ram": "vram", "max_cuda_mem": "vram", "gb": "vram",
    "grad_norm": "grad_norm", "gradnorm": "grad_norm", "gnorm": "grad_norm", "grad": "grad_norm",
    "gradient_norm": "grad_norm", "norm": "grad_norm", "global_norm": "grad_norm", "total_norm": "grad_norm",
    "eta": "eta", "remaining": "eta", "time_left": "eta",
    "time": "time", "dur": "time", "duration": "time", "elapsed": "time", "epoch_time": "time", "took": "time",
    "t": "time", "dt": "time", "took_s": "time", "train_time": "time", "seconds": "time", "wall": "time",
    "it/s": "rate", "speed": "rate", "iter/s": "rate", "its": "rate", "samples/s": "ignore",
    "total_timesteps": "step", "timesteps": "step", "num_timesteps": "step", "iterations": "ignore",
    "number_of_skipped_iterations": "skips", "nan_iterations": "nans", "learn": "loss",
}  # fmt: skip
_IGNORED = re.compile(
    r"(?:^|_)(?:time|data|secs?|seconds|ms|wps|ups|wpb|bsz|runtime|flos|throughput|tokens?|samples|images|"
    r"seed|workers|rank|world_size|device|version|v_num|port|pid|param(?:s|eters)?|size|img_size|imgsz|"
    r"loss_scale|scale|skipped|mfu|oom|clip|instances|patience|counter|fold|seen|num|cpu|ram|util|temp|"
    r"train_wall|gb_free|bytes|patience_counter|consumed|count|rng|hash|line|total_flos|checkpoint|fps|ips|mom)(?:$|_)"
    r"|per_second$|_per_|/s$|/sec$|per_sec$|^%$|^samples_|^num_|^n_|ms/"
)
_LOSS = re.compile(
    r"(?:^|[^a-z])(?:loss(?:es)?|nll|bce|ce|xent|cross_?entropy|kld?|elbo|obj|ppo_loss|objective|cost)\d*"
    r"(?:$|[^a-z])|loss"
)
_VALIDATION = re.compile(r"(?:^|[^a-z])(?:e?val|valid|validation|dev|test|evaluation|eval)(?:$|[^a-z])")
_TRAINING = re.compile(r"(?:^|[^a-z])(?:train|training|tr)(?:$|[^a-z])")
_RISES = re.compile(
    r"(?:^|[^a-z])(?:acc(?:uracy)?\d*|(?:m|b|g|f|w)?iou\d*|jaccard|(?:m|pseudo_)?dice(?:_score|_coef)?|"
    r"m?ap\d*|map|f\d|f1|fscore|f_?beta|f_?measure|auc|auroc|auprc|roc|precision|prec|recall|p|r|bleu\d*|"
    r"rouge\w*|meteor|cider|top\d*|psnr|m?ssim|r2|score|reward|return|kappa|mcc|ndcg|mrr|hit\w*|"
    r"em|exact_match|sensitivity|specificity|pck|oks|spearman\w*|pearson\w*|miou|fitness|pq|wf|sm|em|"
    r"ndcg\d*|win_?rate|success\w*|rew|mean_reward|ep_rew_mean|ep_return)(?:$|[^a-z])"
)
_FALLS = re.compile(
    r"(?:^|[^a-z])(?:err(?:or)?|rmse|mse|mae|mape|smape|rmsle|l1|l2|ppl|perplexity|wer|cer|ter|fid|kid|"
    r"lpips|nll|logloss|mlogloss|merror|log_loss|bpc|bpb|bits|epe|absrel|abs_rel|sqrel|crps|eer|ece|nmse|"
    r"deviance|hausdorff|hd95|assd|chamfer|distance|binary_logloss|multi_logloss|huber|quantile|poisson)"
    r"(?:$|[^a-z])|loss"
)


_CAMEL = re.compile(r"^(Val|Valid|Validation|Eval|Test|Train|val|eval|test|train)(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return *name* in lower case with underscores for blanks and dashes (`ValLoss` too): what is looked up."""
    return re.sub(r"[\s\-]+", "_", _CAMEL.sub(r"\1_", name.strip()).lower())


@lru_cache(maxsize=4096)
def role_of(name: str) -> Role:
    """Return what the value printed under *name* is."""
    low = plain(name)
    reserved = _RESERVED.get(low)
    if reserved:
        return reserved
    if low.startswith("best") or low.endswith("_best"):
        return "ignore"  # a memory, no measurement
    if low.startswith(("grad_norm", "gradnorm")) or low.endswith(("_grad_norm", "/grad_norm")):
        return "grad_norm"
    if re.search(r"(?:^|[_/])(?:lr|learning_rate)(?:$|[_/])", low):
        return "lr"
    if re.search(r"loss_?scale", low) or (_IGNORED.search(low) and "loss" not in low):
        return "ignore"
    if _LOSS.search(low) and not _VALIDATION.search(low):
        return "loss"
    return "metric"


@lru_cache(maxsize=4096)
def is_validation(name: str) -> bool:
    """Tell whether *name* says that it was measured on held-out data."""
    return bool(_VALIDATION.search(plain(name)))


@lru_cache(maxsize=4096)
def is_training(name: str) -> bool:
    """Tell whether *name* says that it was measured on the training data."""
    return bool(_TRAINING.search(plain(name)))


@lru_cache(maxsize=4096)
def is_known(name: str) -> bool:
    """Tell whether *name* is a word of training: a loss, a metric with a direction, or a reserved field."""
    low = plain(name)
    return low in _RESERVED or bool(_LOSS.search(low) or _RISES.search(low) or _FALLS.search(low))


@lru_cache(maxsize=4096)
def direction_of(name: str) -> int:
    """Return 1 if a higher value is better, -1 if a lower one is, 0 if the name does not tell."""
    low = plain(name)
    if role_of(name) not in ("metric", "loss"):
        return 0
    if "loss" in low or (_FALLS.search(low) and not re.search(r"(?:^|[^a-z])m?ap(?:$|[^a-z])", low)):
        return -1
    return 1 if _RISES.search(low) else 0


@lru_cache(maxsize=4096)
def label(name: str) -> str:
    """Return the name under which a printed label is kept: `Val Loss` is `val_loss`, `Val IoU` is `IoU`."""
    name = name.strip()
    if " " not in name or "'" in name:
        return name
    words = name.split()
    rest = [w for w in words if not (_VALIDATION.search(w.lower()) or _TRAINING.search(w.lower()))]
    if not rest or len(rest) == len(words):
        return name
    bare = " ".join(rest)
    if "loss" in bare.lower():
        phase = "val" if is_validation(name) else "train"
        return f"{phase}_{plain(bare)}"
    return bare if is_validation(name) else f"train_{plain(bare)}"
