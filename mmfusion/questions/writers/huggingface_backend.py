"""A local language model through transformers; no code of a repository is run."""

import hashlib
import os
import threading
from typing import Any

from mmfusion.questions.writers.base import Answer, NoAnswerError, WriterDownError
from mmfusion.questions.writers.prompted import Message
from mmfusion.utils.errors import InputError
from mmfusion.utils.hugging_face import import_transformers

_SYSTEM_END = "\n\nAnswer:\n"


class HuggingFaceBackend:
    """Generates on this machine: greedily at first, by chance when an answer failed.

    Args:
        model: folder of a model, or its id at the hub; safetensors only.
        max_tokens: of an answer; 0 means 400.
        seed: of the chance.
        device: as torch names it; a GPU if there is one, for None.

    Raises:
        ValueError: the model cannot be loaded.
        ImportError: transformers is not installed.
    """

    kind = "huggingface"

    def __init__(
        self,
        model: str,
        *,
        max_tokens: int = 400,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        module = import_transformers()
        import torch  # seconds, so only where it is used

        self._torch = torch
        local = os.path.isdir(model)
        self.model = os.path.basename(os.path.abspath(model)) if local else model
        self.settings = f"seed={seed} max_tokens={max_tokens}"
        self._seed = seed
        self._max_tokens = max_tokens or 400
        self._stopped = threading.Event()
        options: dict[str, Any] = {
            "trust_remote_code": False,
            "local_files_only": local,
        }
        try:
            self._tokenizer = module.AutoTokenizer.from_pretrained(model, **options)
            network = module.AutoModelForCausalLM.from_pretrained(
                model, use_safetensors=True, **options
            )
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"--model {model!r} cannot be loaded: {reason}. Expected a folder or "
                "hub id of a causal language model with safetensors and a tokenizer"
            ) from error
        chosen = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        self._network = network.to(chosen).eval()

    def stop(self) -> None:
        """Begin no further answer."""
        self._stopped.set()

    def complete(
        self, messages: list[Message], schema: dict[str, Any] | None, attempt: int
    ) -> Answer:
        """Answer messages; see :class:`ChatModel`. The schema is in the prompt."""
        if self._stopped.is_set():
            raise NoAnswerError("the run was stopped")
        text = self._prompt(messages)
        tokens = self._tokenizer(text, return_tensors="pt").to(self._network.device)
        length = int(tokens["input_ids"].shape[1])
        limit = getattr(self._network.config, "max_position_embeddings", None)
        if limit is not None and length + self._max_tokens > limit:
            raise WriterDownError(
                f"the prompt has {length} tokens and the answer may have "
                f"{self._max_tokens}, the model reads {limit}: give a smaller "
                "--max-tokens, or another model"
            )
        torch = self._torch
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(_seed_of(self._seed, attempt, text))
            output = self._network.generate(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                max_new_tokens=self._max_tokens,
                do_sample=attempt > 0,
                pad_token_id=self._padding(),
            )
        written = output[0, length:]
        answer = self._tokenizer.decode(written, skip_special_tokens=True)
        return Answer(answer, length, len(written))

    def _prompt(self, messages: list[Message]) -> str:
        if getattr(self._tokenizer, "chat_template", None):
            return str(
                self._tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True
                )
            )
        return "\n\n".join(m["content"] for m in messages) + _SYSTEM_END

    def _padding(self) -> int:
        number = self._tokenizer.pad_token_id
        return self._tokenizer.eos_token_id if number is None else number


def _seed_of(seed: int, attempt: int, text: str) -> int:
    digest = hashlib.sha256(f"{seed}:{attempt}:{text}".encode()).digest()
    return int.from_bytes(digest[:4])
