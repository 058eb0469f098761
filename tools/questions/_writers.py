"""Writer of the questions: its options on the command line, and itself."""

import argparse
import os
from pathlib import Path

from mmfusion.questions.masking import Masker
from mmfusion.questions.writers import (
    HuggingFaceBackend,
    OpenAIBackend,
    Pacer,
    PromptedWriter,
    Prompts,
    TemplateWriter,
    Writer,
)
from mmfusion.questions.writers.template import HINTS


def add_writer_arguments(parser: argparse.ArgumentParser) -> None:
    """``--writer``, what it is, and how a server is asked."""
    add = parser.add_argument_group("writer").add_argument
    add("--writer", default="template", choices=["template", "openai", "huggingface"])
    add("--model", help="name at the server, or a model's folder or hub id")
    add("--hint", default="category", choices=HINTS, help="template: what helps")
    add("--seed", type=int, default=0, help="template, huggingface")
    add("--prompts", type=Path, help="folder of your own prompts instead of ours")
    add("--attempts", type=int, default=3, help="answers asked for at most, per stage")
    add("--variants", type=int, default=1, help="questions for clips that ask the same")
    add("--cache", type=Path, help="file of answers, OUT.cache.sqlite if not given")
    add = parser.add_argument_group("server").add_argument
    add("--base-url", help="address of the server; OpenAI's if not given")
    add(
        "--key-env",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="environment variable that holds the key",
    )
    add("--workers", type=int, default=4, help="requests at one time")
    add("--requests-per-minute", type=float, help="no more than so many")
    add("--timeout", type=float, default=60.0, help="seconds for an answer")
    add("--retries", type=int, default=6, help="repetitions of a failed request")
    add("--max-tokens", type=int, default=400, help="of an answer; 0: do not say")
    add("--temperature", type=float, help="not sent if not given")
    add(
        "--response-format",
        default="json_schema",
        choices=["json_schema", "json_object", "text"],
        help="what the server understands",
    )
    add("--price-in", type=float, default=0.0, help="per million tokens read")
    add("--price-out", type=float, default=0.0, help="per million tokens written")


def build_writer(args: argparse.Namespace, masker: Masker) -> Writer:
    """The writer that the command names."""
    if args.writer == "template":
        return TemplateWriter(masker, hint=args.hint, seed=args.seed)
    prompts = Prompts.read(args.prompts)
    if args.writer == "huggingface":
        local = HuggingFaceBackend(
            args.model, max_tokens=args.max_tokens, seed=args.seed
        )
        return PromptedWriter(local, prompts)
    server = OpenAIBackend(
        args.model,
        key=os.environ.get(args.key_env) or ("none" if args.dry_run else None),
        key_name=args.key_env,
        base_url=args.base_url,
        timeout=args.timeout,
        retries=args.retries,
        pacer=Pacer(args.requests_per_minute),
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        response_format=args.response_format,
    )
    return PromptedWriter(server, prompts)
