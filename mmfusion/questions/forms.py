"""Word forms of English: what a class word can look like in a question.

Two ways are joined, because each has gaps: forms are spelled out by rule (``cut`` ->
``cutting``) and from a list of irregular ones, and a word that is met is led back to
its lemma by simplemma (``knives`` -> ``knife``), whose dictionary is in the package.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from mmfusion.questions import english
from mmfusion.questions.english import IRREGULAR_PAST, IRREGULAR_PLURAL
from mmfusion.utils.optional import import_optional

_VOWELS = "aeiou"
# soft hyphen and zero-width characters: invisible, so a word with them reads the same
INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
# an apostrophe as it is typed; the last four count as letters
APOSTROPHES = "'\u2019\u2018\u201b\u2032\u00b4`\uff07\u02bc\u02bb\u02b9\ua78c"
_APOSTROPHES = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_PREFIXES = ("un", "re", "over", "under", "out", "mis")


def normalise(token: str) -> str:
    """Lower case, without accents and invisible characters; look-alike widths unified.

    >>> normalise("PUR\u00c9E")
    'puree'
    """
    if token.isascii():
        return token.lower().replace("`", "'")
    plain = _INVISIBLE.sub("", token).translate(_APOSTROPHES)
    text = unicodedata.normalize("NFKC", plain).casefold()
    parts = unicodedata.normalize("NFD", text)
    return "".join(c for c in parts if not unicodedata.combining(c))


def _simplemma() -> Any:
    return import_optional("simplemma", "word forms in questions")


@lru_cache(maxsize=65536)
def lemma(word: str) -> str:
    """Dictionary form of a normalised English word; the word itself where unknown."""
    return normalise(_simplemma().lemmatize(word, lang="en"))


def english_share(text: str) -> float:
    """Share in 0..1 of the words of ``text`` that are English."""
    return float(_simplemma().in_target_language(text, "en"))


@lru_cache(maxsize=16384)
def forms(word: str) -> dict[str, str]:
    """Every form of a normalised word, with the name of the form.

    Returns:
        ``{form: "same" | "past tense" | "-ing" | "plural"}``; "plural" also stands for
        the -s of verbs. Nouns get verb forms as well (``oil`` -> ``oiled``).
    """
    found = {form: "plural" for form in _plurals(word)}
    found |= {form + "s": "-ing" for form in _with_suffix(word, "ing")}
    found |= {form: "-ing" for form in _with_suffix(word, "ing")}
    found |= {form: "past tense" for form in _with_suffix(word, "ed")}
    found |= {form: "past tense" for form in _irregular_past(word)}
    found[word] = "same"
    return found


@lru_cache(maxsize=16384)
def derived(word: str, task: str) -> frozenset[str]:
    """Words made of a normalised verb or noun, without their forms.

    >>> sorted(derived("peel", "verb"))
    ['peeler', 'peelest', 'unpeeled']
    """
    found = set(english.DERIVED.get(word, ()))
    if task == "verb":
        found |= set(_comparatives(word)) - english.NO_AGENTS
    else:
        found |= {word + "ful", word + "less"}
        if word in english.WITH_Y:
            adjectives = [f"{form[:-2]}y" for form in _with_suffix(word, "ed")]
            found |= {word + "y", *adjectives}
            found |= {form for y in adjectives for form in _comparatives(y)}
    return frozenset(found - {word})


def _comparatives(word: str) -> list[str]:
    """``word`` with -er and -est; of a verb -er says who or what does it."""
    if re.search(r"[^aeiou]y$", word):
        return [f"{word[:-1]}ier", f"{word[:-1]}iest", f"{word}er"]
    stems = [form[:-2] for form in _with_suffix(word, "ed")]
    return [stem + suffix for stem in stems for suffix in ("er", "est")]


def _plurals(word: str) -> list[str]:
    if word in IRREGULAR_PLURAL:
        return IRREGULAR_PLURAL[word]
    if re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ies", word + "s"]
    if re.search(r"(s|x|z|ch|sh)$", word):
        return [word + "es"]
    found = [word + "s"]
    if word.endswith("o"):
        found.append(word + "es")
    if re.search(r"[^f]f$", word):
        found.append(word[:-1] + "ves")
    if word.endswith("fe"):
        found.append(word[:-2] + "ves")
    return found


def _with_suffix(word: str, suffix: str) -> list[str]:
    """``word`` with -ing or -ed, as English spells it (both ways where it may)."""
    if suffix == "ed" and re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ied"]
    if suffix == "ing" and word.endswith("ie"):
        return [word[:-2] + "ying"]
    if word.endswith("e") and not re.search(r"(ee|oe|ye)$", word):
        return [word[:-1] + suffix]
    if word.endswith("e") and suffix == "ed":
        return [word + "d"]
    if re.search(r"([^aeiou]|qu)[aeiou][^aeiouwxy]$", "#" + word):
        doubled = word + word[-1] + suffix
        # stress decides for longer words (`open` or `begin`): take both
        return [doubled] if _syllables(word) == 1 else [doubled, word + suffix]
    return [word + suffix]


def _syllables(word: str) -> int:
    return len(re.findall(f"[{_VOWELS}y]+", word))


def _irregular_past(word: str) -> list[str]:
    if word in IRREGULAR_PAST:
        return IRREGULAR_PAST[word]
    for prefix in _PREFIXES:
        stem = word.removeprefix(prefix)
        if stem != word and stem in IRREGULAR_PAST:
            return [prefix + form for form in IRREGULAR_PAST[stem]]
    return []


def base_of_ing(word: str) -> str:
    """The verb of an -ing form: ``"cutting"`` -> ``"cut"``; else the lemma."""
    stem = word.removesuffix("ing")
    candidates = [lemma(word)]
    if word.startswith("un") and len(stem) > 5:
        return "un" + base_of_ing(word[2:])
    if stem != word:
        candidates += [stem[:-1]] if stem[-1:] == stem[-2:-1] else []
        candidates += [stem, stem + "e"]
    for base in candidates:
        known = _simplemma().is_known(base, lang="en")
        if known and base != word and word in forms(base):
            return base
    return lemma(word)
