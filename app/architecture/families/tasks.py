"""Other models of a known type, by the class that a checkpoint names: without a head, or with a classifier.

Embedding models are published as bodies (`BertModel`, `Qwen3Model`), rerankers with a classifier of one
or two labels (`...ForSequenceClassification`).
"""

from collections.abc import Callable, Mapping
from typing import Final

from ..builder import ModelBuilder
from ..config import LARGEST_COUNT, Config, defaults
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .registry import BODIES, HEADED, Writer

# Where a masked language model's body stands below its head, and the pooler that its plain body ends with.
PREFIXES: Final[Mapping[str, str]] = {
    "bert": "bert",
    "roberta": "roberta",
    "camembert": "roberta",
    "xlm-roberta": "roberta",
    "electra": "electra",
    "mpnet": "mpnet",
    "albert": "albert",
    "distilbert": "distilbert",
    "deberta": "deberta",
    "deberta-v2": "deberta",
    "modernbert": "model",
    "eurobert": "model",
    "nomic_bert": "nomic_bert",
    "gte": "gte",
    "jina_embeddings_v3": "roberta",
}
POOLERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("bert", "roberta", "camembert", "xlm-roberta", "mpnet", "jina_embeddings_v3"), "pooler.dense"
    ),
    "albert": "pooler",
}
POOLED_TASK: Final = ("bert", "albert")  # whose classifier reads the pooler


def labels(c: Config) -> int:
    """Classes of a classifier: `num_labels`, else as many as `id2label` names, else two."""
    if isinstance(names := c.get("id2label"), Mapping) and names and c.given("num_labels") is None:
        return min(len(names), LARGEST_COUNT)
    return c.size("num_labels", 2)


def linear(m: ModelBuilder, name: str, width: int, out: int, axis: Axis, *, bias: bool = True) -> None:
    """One matrix of the head."""
    m.single("head", lambda t: t.linear(name, t.input(width, axis), out, bias=bias, role=Role.OTHER))


def pooler(kind: str, m: ModelBuilder) -> None:
    """tanh of a linear map of the first token, where the body ends with one."""
    if name := POOLERS.get(kind):

        def write(t: Trace) -> Tensor:
            x = t.linear(name, t.input(m.hidden_size, Axis.BATCH), m.hidden_size, bias=True, role=Role.OTHER)
            return t.elementwise("tanh", x)

        m.single("pooler", write)


def base(kind: str) -> Writer:
    """The body alone."""

    def write(c: Config, m: ModelBuilder) -> None:
        m.notes["kind"] = "encoder" if kind in PREFIXES else "decoder"
        BODIES[kind](c, m)
        pooler(kind, m)

    return write


def sequence_head(kind: str, c: Config, m: ModelBuilder) -> None:
    """A score for each label of a whole sequence."""
    width, out = m.hidden_size, labels(c)
    if kind in HEADED:
        linear(m, "score", width, out, Axis.BATCH, bias=False)
    elif kind in POOLED_TASK:
        linear(m, "classifier", width, out, Axis.BATCH)
    elif kind == "distilbert":
        linear(m, "pre_classifier", width, width, Axis.BATCH)
        linear(m, "classifier", width, out, Axis.BATCH)
    elif kind in ("deberta", "deberta-v2"):
        linear(m, "pooler.dense", width, width, Axis.BATCH)
        linear(m, "classifier", width, out, Axis.BATCH)
    elif kind == "modernbert":
        _modernbert_dense(c, m)
        linear(m, "classifier", width, out, Axis.BATCH)
    else:
        linear(m, "classifier.dense", width, width, Axis.BATCH)
        linear(m, "classifier.out_proj", width, out, Axis.BATCH)


def _modernbert_dense(c: Config, m: ModelBuilder) -> None:
    from .encoders_modern import modernbert_dense  # its file is read for this type only

    modernbert_dense(c, m)


def token_head(kind: str, c: Config, m: ModelBuilder) -> None:
    """A score for each label of every token."""
    if kind == "modernbert":
        _modernbert_dense(c, m)
    linear(m, "score" if kind in HEADED else "classifier", m.hidden_size, labels(c), Axis.TOKENS)


def answer_head(kind: str, c: Config, m: ModelBuilder) -> None:
    """Where an answer starts and ends."""
    linear(m, "qa_outputs", m.hidden_size, 2, Axis.TOKENS)


TASKS: Final[Mapping[str, Callable[[str, Config, ModelBuilder], None]]] = {
    "ForSequenceClassification": sequence_head,
    "ForTokenClassification": token_head,
    "ForQuestionAnswering": answer_head,
}


def with_head(kind: str, task: str) -> Writer:
    """The body below its usual prefix, and the task's head."""

    def write(c: Config, m: ModelBuilder) -> None:
        m.notes["kind"] = "encoder"
        with m.prefix(PREFIXES.get(kind) or HEADED[kind]):
            BODIES[kind](c, m)
            if kind in POOLED_TASK and task == "ForSequenceClassification":
                pooler(kind, m)
        TASKS[task](kind, c, m)

    return write


def of_task(kind: str, class_name: str) -> Writer | None:
    """Who writes down a model of this class, where the class is not its type's usual one."""
    known = kind in BODIES and (kind in PREFIXES or kind in HEADED)
    if not known or not class_name:
        return None
    if class_name == defaults().get(kind, {}).get("classes", {}).get("base"):
        return base(kind)
    return next((with_head(kind, task) for task in TASKS if class_name.endswith(task)), None)
