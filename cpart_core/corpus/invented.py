"""A made-up language with a small, strict grammar (one of the generated contexts).

Sentence = Subject [Object] Verb [connective Sentence] "."; Subject, Object = noun [adjective]
noun       root + class vowel (a, o, i: its class) + "n" in the plural + "k" as object
adjective  root + the very ending of its noun: class vowel, number, case
verb       root + class vowel and number of the SUBJECT + tense: "" now, "šu" past, "že" future; all verbs of a paragraph share the tense
Words are drawn with falling frequency; a document keeps to a few nouns, as if it had a topic.
"""

from __future__ import annotations

from random import Random

CLASSES = ("a", "o", "i")
TENSES = ("", "šu", "že")
CONNECTIVES = ("ve", "lun", "ðe")
"""Words between two clauses; written after a comma."""


def make_roots(name: str, count: int, syllables: tuple[int, ...]) -> tuple[str, ...]:
    """Different roots, each of the given number of syllables and a closing consonant."""
    random = Random(f"cpart invented {name}")
    roots: dict[str, None] = {}
    while len(roots) < count:
        body = "".join(
            random.choice("ptkbdgmnlrsšžvð") + random.choice("aeiouyø")
            for _ in range(random.choice(syllables))
        )
        roots[body + random.choice("tdrlsmv")] = None
    return tuple(roots)


NOUNS = make_roots("nouns", 180, (1, 2, 2))
ADJECTIVES = make_roots("adjectives", 60, (1, 2))
VERBS = make_roots("verbs", 90, (1, 2))


def class_of(noun: str) -> str:
    """The class of a noun root: it is a property of the word, as in many languages, and has to be
    learnt."""
    return CLASSES[NOUNS.index(noun) % len(CLASSES)]


def write_invented(random: Random) -> str:
    """Three to six paragraphs of four to eight sentences about eight nouns."""
    topic = [pick(random, NOUNS) for _ in range(8)]
    paragraphs = []
    for _ in range(random.randint(3, 6)):
        tense = random.choice(TENSES)
        paragraphs.append(
            " ".join(write_sentence(random, topic, tense) for _ in range(random.randint(4, 8)))
        )
    return "\n\n".join(paragraphs) + "\n"


def write_sentence(random: Random, topic: list[str], tense: str) -> str:
    text = write_clause(random, topic, tense)
    if random.random() < 0.3:
        text += f", {random.choice(CONNECTIVES)} {write_clause(random, topic, tense)}"
    return text[0].upper() + text[1:] + "."


def write_clause(random: Random, topic: list[str], tense: str) -> str:
    subject = random.choice(topic)
    ending = class_of(subject) + random.choice(("", "", "n"))
    words = write_noun(random, subject, ending)
    if random.random() < 0.7:
        thing = random.choice(topic)
        words += write_noun(random, thing, class_of(thing) + random.choice(("", "", "n")) + "k")
    return " ".join([*words, pick(random, VERBS) + ending + tense])


def write_noun(random: Random, noun: str, ending: str) -> list[str]:
    words = [noun + ending]
    if random.random() < 0.35:
        words.append(pick(random, ADJECTIVES) + ending)
    return words


def pick(random: Random, words: tuple[str, ...]) -> str:
    """Earlier words more often: the density of the index falls as 1 / sqrt."""
    return words[int(len(words) * random.random() ** 2)]
