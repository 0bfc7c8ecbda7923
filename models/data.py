"""Generates the text that the built-in model learns from: one pure function per skill.

Every function takes a `random.Random` and returns one `Example`. No file is read. An example's
`key` identifies the question, whatever its phrasing. Keys with a low hash are held out, so an
evaluation asks only questions that training has not seen. For facts known by heart, the key is
the question itself, so there a phrasing is held out.
"""

from __future__ import annotations

import calendar
import datetime
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from models import facts, phrasings
from models.facts import words

HELD_OUT_OF_256 = 26
"""About one key in ten is never trained on."""

TAUGHT = "taught: "
"""The prefix of keys that are never held out: the plainest way to ask for a fact."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its answer, and the turns before it."""

    key: str
    question: str
    answer: str
    also: tuple[str, ...] = ()
    """Other right answers, if chance decides."""
    history: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill that the model learns: how its examples are made, and how often."""

    name: str
    make: Callable[[Random], Example]
    weight: float


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as the chat template needs it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages that end with an assistant's answer, and the example that grades it."""

    skill: str
    messages: tuple[Message, ...]
    example: Example = field(repr=False)


def is_held_out(example: Example) -> bool:
    """Whether training must not see this example, or any turn before it."""
    return _is_low(example.key) or any(is_held_out(turn) for turn in example.history)


def training_conversations(seed: int) -> Iterator[Conversation]:
    """Endless conversations for training, without held-out keys. A seed fixes them all."""
    rng = Random(seed)
    names = [skill.name for skill in SKILLS]
    weights = [skill.weight for skill in SKILLS]
    while True:
        turns = 1 if rng.random() < 0.75 else rng.choice((2, 2, 3, 4, 6))
        chosen = rng.choices(names, weights, k=turns)
        yield _conversation(rng, chosen[-1], [_trainable(rng, name) for name in chosen])


def held_out_conversations(skill: str, count: int, seed: int) -> list[Conversation]:
    """Different single questions for grading, each with a held-out key."""
    rng = Random(f"{skill} {seed}")
    asked: dict[str, Conversation] = {}
    for _ in range(count * 400):
        example = BY_NAME[skill].make(rng)
        if _is_low(example.key) and example.question not in asked:
            asked[example.question] = _conversation(rng, skill, [example])
        if len(asked) == count:
            break
    return list(asked.values())


def _is_low(key: str) -> bool:
    return hashlib.sha256(key.encode()).digest()[0] < HELD_OUT_OF_256 and not key.startswith(TAUGHT)


def _trainable(rng: Random, name: str) -> Example:
    while True:
        example = BY_NAME[name].make(rng)
        if not is_held_out(example):
            return example


def _conversation(rng: Random, skill: str, examples: Sequence[Example]) -> Conversation:
    messages: list[Message] = []
    if rng.random() < 0.35:
        role = "developer" if rng.random() < 0.25 else "system"
        wish = rng.choice(facts.SYSTEM_MESSAGES) if rng.random() < 0.8 else babble(rng)
        messages.append(Message(role, wish))
    for example in examples:
        for turn in (*example.history, example):
            messages.append(Message("user", turn.question))
            messages.append(Message("assistant", turn.answer))
    return Conversation(skill, tuple(messages), examples[-1])


# Phrasing: how people type the same question.

OPENINGS = (
    "Please tell me: ",
    "Hey, ",
    "Quick question: ",
    "Question: ",
    "Tell me, ",
    "Ok. ",
    "Q: ",
)


def ask(rng: Random, ways: Sequence[str], **payload: object) -> str:
    """Phrase a question as people do: with or without capitals, punctuation and courtesy.

    Only the phrasing varies. The text for the braces is filled in afterwards, unchanged.
    """
    text = rng.choice(ways)
    if rng.random() < 0.12:
        text = rng.choice(OPENINGS) + text
    if rng.random() < 0.06:
        text = text.rstrip(".?!") + rng.choice((", please.", " please", " please?"))
    elif rng.random() < 0.25:
        text = text.rstrip(".?!")
    if rng.random() < 0.3:
        text = text.lower()
    return text.format(**payload)


def by_heart(rng: Random, ways: Sequence[str], answer: str, **payload: object) -> Example:
    """A fact. Its key is the question itself, so that a phrasing can be held out."""
    question = ask(rng, ways, **payload)
    if rng.random() < 0.3:
        question = question.lower()
    key = _plain(question)
    if key == _plain(ways[0].format(**payload)):
        key = TAUGHT + key
    return Example(key=key, question=question, answer=answer)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9+*/=<>-]+", " ", text.lower()).strip()


# Sums.


def add_key(a: int, b: int) -> str:
    """The same key for both orders: if 12 + 34 is held out, so is 34 + 12."""
    return f"{min(a, b)}+{max(a, b)}"


def _add(rng: Random, a: int, b: int) -> Example:
    return Example(add_key(a, b), ask(rng, phrasings.ADD, a=a, b=b), str(a + b))


def add_small(rng: Random) -> Example:
    """Sums of numbers up to twenty."""
    return _add(rng, rng.randint(0, 20), rng.randint(0, 20))


def add_two_digits(rng: Random) -> Example:
    """Sums of two numbers of two digits."""
    return _add(rng, rng.randint(10, 99), rng.randint(10, 99))


def add_three_digits(rng: Random) -> Example:
    """Sums in which at least one number has three digits."""
    a, b = rng.randint(100, 999), rng.randint(10, 999)
    return _add(rng, *((a, b) if rng.random() < 0.5 else (b, a)))


def add_three_numbers(rng: Random) -> Example:
    """Sums of three numbers."""
    a, b, c = (rng.randint(1, 40) for _ in range(3))
    key = "+".join(map(str, sorted((a, b, c))))
    return Example(key, ask(rng, phrasings.ADD_THREE_NUMBERS, a=a, b=b, c=c), str(a + b + c))


def add_words(rng: Random) -> Example:
    """Sums written out in words, answered in words."""
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    question = ask(rng, phrasings.ADD_WORDS, a=in_words(a), b=in_words(b))
    return Example(f"words {add_key(a, b)}", question, in_words(a + b))


def add_story(rng: Random) -> Example:
    """Sums and differences in a story."""
    name, thing = rng.choice(facts.NAMES), rng.choice(facts.THINGS)
    a, b = rng.randint(2, 60), rng.randint(2, 40)
    if rng.random() < 0.6:
        question = ask(rng, phrasings.STORY_MORE, name=name, thing=thing, a=a, b=b)
        return Example(add_key(a, b), question, str(a + b))
    a, b = max(a, b), min(a, b)
    question = ask(rng, phrasings.STORY_LESS, name=name, thing=thing, a=a, b=b)
    return Example(f"{a}-{b}", question, str(a - b))


def subtract_two_digits(rng: Random) -> Example:
    """Differences of numbers up to 99, sometimes below zero."""
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    if a < b and rng.random() < 0.8:
        a, b = b, a
    return Example(f"{a}-{b}", ask(rng, phrasings.SUBTRACT, a=a, b=b), str(a - b))


def subtract_three_digits(rng: Random) -> Example:
    """Differences of a number of three digits and a smaller one."""
    a = rng.randint(100, 999)
    b = rng.randint(10, a)
    return Example(f"{a}-{b}", ask(rng, phrasings.SUBTRACT, a=a, b=b), str(a - b))


def multiply_table(rng: Random) -> Example:
    """The multiplication table up to twelve, by heart."""
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    return by_heart(rng, phrasings.MULTIPLY, str(a * b), a=a, b=b)


def multiply_one_digit(rng: Random) -> Example:
    """Two digits times one digit."""
    a, b = rng.randint(11, 99), rng.randint(2, 9)
    key = f"{b}*{a}"
    return Example(key, ask(rng, phrasings.MULTIPLY, **_either_order(rng, a, b)), str(a * b))


def multiply_two_digits(rng: Random) -> Example:
    """Two digits times two digits: meant to be hard."""
    a, b = rng.randint(11, 99), rng.randint(11, 99)
    return Example(f"{min(a, b)}*{max(a, b)}", ask(rng, phrasings.MULTIPLY, a=a, b=b), str(a * b))


def divide_table(rng: Random) -> Example:
    """Divisions without a remainder, by heart."""
    a, b = rng.randint(0, 12), rng.randint(1, 12)
    return by_heart(rng, phrasings.DIVIDE, str(a), a=a * b, b=b)


def double_or_half(rng: Random) -> Example:
    """Twice a number, or half of it."""
    a = rng.randint(1, 100)
    if rng.random() < 0.5:
        return Example(f"double {a}", ask(rng, phrasings.DOUBLE, a=a), str(2 * a))
    return Example(f"half {a}", ask(rng, phrasings.HALF, a=2 * a), str(a))


def _either_order(rng: Random, a: int, b: int) -> dict[str, object]:
    return {"a": a, "b": b} if rng.random() < 0.5 else {"a": b, "b": a}


# Numbers.


def compare(rng: Random) -> Example:
    """The larger or smaller of two numbers, decimals too."""
    a, b = _two_numbers(rng)
    larger, smaller = (a, b) if float(a) > float(b) else (b, a)
    if rng.random() < 0.6:
        return Example(f"compare {smaller} {larger}", ask(rng, phrasings.LARGER, a=a, b=b), larger)
    return Example(f"compare {smaller} {larger}", ask(rng, phrasings.SMALLER, a=a, b=b), smaller)


def compare_yes_no(rng: Random) -> Example:
    """Whether one number is larger than another."""
    a, b = _two_numbers(rng)
    smaller, larger = sorted((a, b), key=float)
    key = f"compare {smaller} {larger}"
    if rng.random() < 0.5:
        return Example(key, ask(rng, phrasings.IS_LARGER, a=a, b=b), _yes(a == larger))
    return Example(key, ask(rng, phrasings.IS_SMALLER, a=a, b=b), _yes(a == smaller))


def compare_three(rng: Random) -> Example:
    """The largest or smallest of three numbers, or all three in order."""
    numbers = rng.sample(range(1, 200 if rng.random() < 0.5 else 60), 3)
    a, b, c = numbers
    ordered = sorted(numbers)
    key = "order " + " ".join(map(str, ordered))
    wanted, answer = rng.choice(
        (
            (phrasings.LARGEST, str(ordered[2])),
            (phrasings.SMALLEST, str(ordered[0])),
            (phrasings.SORT, ", ".join(map(str, ordered))),
        )
    )
    return Example(key, ask(rng, wanted, a=a, b=b, c=c), answer)


def parity(rng: Random) -> Example:
    """Even or odd."""
    n = rng.randint(0, 999)
    even = n % 2 == 0
    if rng.random() < 0.5:
        return Example(
            f"parity {n}", ask(rng, phrasings.EVEN_OR_ODD, n=n), "Even" if even else "Odd"
        )
    asked_even = rng.random() < 0.5
    ways = phrasings.IS_EVEN if asked_even else phrasings.IS_ODD
    return Example(f"parity {n}", ask(rng, ways, n=n), _yes(asked_even == even))


def next_number(rng: Random) -> Example:
    """The number after, before, or next in a row."""
    kind = rng.randrange(3)
    if kind == 0:
        n = rng.randint(0, 999)
        return Example(f"after {n}", ask(rng, phrasings.NUMBER_AFTER, n=n), str(n + 1))
    if kind == 1:
        n = rng.randint(1, 999)
        return Example(f"before {n}", ask(rng, phrasings.NUMBER_BEFORE, n=n), str(n - 1))
    start, step = rng.randint(0, 50), rng.randint(1, 10)
    row = ", ".join(str(start + i * step) for i in range(rng.randint(3, 4)))
    last = int(row.rsplit(", ", 1)[1])
    return Example(
        f"row {start} {step}", ask(rng, phrasings.NEXT_IN_ROW, row=row), str(last + step)
    )


def count_up(rng: Random) -> Example:
    """Counting from one number to another: an answer long enough to stream."""
    down = rng.random() < 0.2
    start = 1 if rng.random() < 0.5 else rng.randint(0, 60)
    end = start + rng.randint(2, 12 if rng.random() < 0.7 else 40)
    numbers = [str(number) for number in range(start, end + 1)]
    ways = phrasings.COUNT_DOWN if down else phrasings.COUNT_UP
    if start == 1 and not down:
        ways += phrasings.COUNT_FROM_ONE
    question = ask(rng, ways, a=start, b=end)
    answer = ", ".join(reversed(numbers) if down else numbers)
    return Example(f"count {start} {end} {down}", question, answer)


def number_words(rng: Random) -> Example:
    """Numbers from digits into words, and back."""
    n = rng.randint(0, 99) if rng.random() < 0.6 else rng.randint(100, 999)
    if rng.random() < 0.5:
        return Example(f"number {n}", ask(rng, phrasings.IN_WORDS, n=n), in_words(n))
    return Example(f"number {n}", ask(rng, phrasings.IN_DIGITS, n=in_words(n)), str(n))


def logarithm(rng: Random) -> Example:
    """Common logarithms: the powers of ten, and the table of 1 to 100 to four places."""
    if rng.random() < 0.35:
        power = rng.randint(-3, 9)
        text = str(10**power) if power >= 0 else f"{10.0**power:.{-power}f}"
        return by_heart(rng, phrasings.LOGARITHM, str(power), n=text)
    n = rng.randint(2, 99)
    answer = "1" if n == 10 else f"{math.log10(n):.4f}"
    return by_heart(rng, phrasings.LOGARITHM, answer, n=n)


ONES = words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
    """
)
TENS = words("zero ten twenty thirty forty fifty sixty seventy eighty ninety")


def in_words(n: int) -> str:
    """A number below one thousand in English words."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (f"-{ONES[n % 10]}" if n % 10 else "")
    rest = f" and {in_words(n % 100)}" if n % 100 else ""
    return f"{ONES[n // 100]} hundred{rest}"


def check(rng: Random) -> Example:
    """Grading: whether a given result is right."""
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    right = rng.random() < 0.5
    result = a + b
    claimed = (
        result
        if right
        else max(0, result + rng.choice((-20, -10, -9, -2, -1, 1, 2, 9, 10, 11, 20)))
    )
    answer = "Yes" if claimed == result else f"No, it is {result}"
    return Example(add_key(a, b), ask(rng, phrasings.CHECK, a=a, b=b, c=claimed), answer)


# Dates.

DAYS = tuple(calendar.day_name)
MONTHS = tuple(calendar.month_name)[1:]
ORDINALS = words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
)


def weekday_next(rng: Random) -> Example:
    """The weekday before and after, by heart."""
    day = rng.randrange(7)
    if rng.random() < 0.6:
        return by_heart(rng, phrasings.DAY_AFTER, DAYS[(day + 1) % 7], day=DAYS[day])
    return by_heart(rng, phrasings.DAY_BEFORE, DAYS[(day - 1) % 7], day=DAYS[day])


def weekday_later(rng: Random) -> Example:
    """The weekday a number of days later."""
    day, n = rng.randrange(7), rng.randint(2, 30)
    return Example(
        f"{DAYS[day]}+{n}",
        ask(rng, phrasings.DAYS_AFTER_DAY, n=n, day=DAYS[day]),
        DAYS[(day + n) % 7],
    )


def month_order(rng: Random) -> Example:
    """The order of the months, by heart."""
    month = rng.randrange(12)
    questions = (
        (phrasings.MONTH_AFTER, MONTHS[(month + 1) % 12]),
        (phrasings.MONTH_BEFORE, MONTHS[(month - 1) % 12]),
        (phrasings.MONTH_BY_NUMBER, MONTHS[month]),
        (phrasings.NUMBER_OF_MONTH, str(month + 1)),
    )
    asked, answer = rng.choice(questions)
    return by_heart(rng, asked, answer, month=MONTHS[month], nth=ORDINALS[month], n=month + 1)


def month_days(rng: Random) -> Example:
    """How many days a month has, February by year."""
    month = rng.randrange(12) + 1
    if rng.random() < 0.35:
        year = rng.randint(1900, 2100)
        answer = str(calendar.monthrange(year, 2)[1])
        return Example(f"february {year}", ask(rng, phrasings.DAYS_IN_FEBRUARY, year=year), answer)
    answer = "28, or 29 in a leap year" if month == 2 else str(calendar.monthrange(2023, month)[1])
    return by_heart(rng, phrasings.DAYS_IN_MONTH, answer, month=MONTHS[month - 1])


def leap_year(rng: Random) -> Example:
    """Whether a year is a leap year."""
    year = rng.randint(1900, 2100)
    return Example(
        f"leap {year}", ask(rng, phrasings.LEAP_YEAR, year=year), _yes(calendar.isleap(year))
    )


def date_later(rng: Random) -> Example:
    """The date a number of days later in an ordinary year."""
    start = datetime.date(2023, 1, 1) + datetime.timedelta(days=rng.randrange(365))
    n = rng.randint(1, 40)
    end = start + datetime.timedelta(days=n)
    day = f"{MONTHS[start.month - 1]} {start.day}"
    return Example(
        f"{day}+{n}",
        ask(rng, phrasings.DAYS_AFTER_DATE, n=n, day=day),
        f"{MONTHS[end.month - 1]} {end.day}",
    )


def weekday_of_date(rng: Random) -> Example:
    """The weekday of a date between 2020 and 2029: meant to be hard."""
    date = datetime.date(2020, 1, 1) + datetime.timedelta(days=rng.randrange(3653))
    text = rng.choice((date.isoformat(), f"{MONTHS[date.month - 1]} {date.day}, {date.year}"))
    return Example(
        f"weekday {date}", ask(rng, phrasings.WEEKDAY_OF_DATE, date=text), DAYS[date.weekday()]
    )


# Units.

UNITS: tuple[tuple[str, str, int], ...] = (
    ("meter", "centimeter", 100),
    ("meter", "millimeter", 1000),
    ("centimeter", "millimeter", 10),
    ("kilometer", "meter", 1000),
    ("kilogram", "gram", 1000),
    ("gram", "milligram", 1000),
    ("ton", "kilogram", 1000),
    ("liter", "milliliter", 1000),
    ("hour", "minute", 60),
    ("minute", "second", 60),
    ("day", "hour", 24),
    ("week", "day", 7),
    ("year", "month", 12),
    ("foot", "inch", 12),
    ("yard", "foot", 3),
    ("decade", "year", 10),
    ("century", "year", 100),
    ("euro", "cent", 100),
    ("dollar", "cent", 100),
)
PLURALS = {"foot": "feet", "inch": "inches", "century": "centuries"}


def plural(unit: str, n: int) -> str:
    """A unit as it is written after a number."""
    return unit if n == 1 else PLURALS.get(unit, f"{unit}s")


def convert(rng: Random) -> Example:
    """Unit conversions in whole numbers, both ways."""
    large, small, factor = rng.choice(UNITS)
    n = rng.randint(1, 12 if rng.random() < 0.4 else 60)
    if rng.random() < 0.6:
        source, count, target, result = large, n, small, n * factor
    else:
        source, count, target, result = small, n * factor, large, n
    question = ask(
        rng,
        phrasings.CONVERT,
        targets=plural(target, 2),
        sources=plural(source, count),
        count=count,
    )
    return Example(f"{n} {large} {small}", question, f"{result} {plural(target, result)}")


# Words.

CONSONANTS = words("b c d f g h j k l m n p r s t v w z ch sh th br cr dr fr gr pl pr st tr")
VOWELS = words("a e i o u ai ea ee oo ou")
ENDINGS = ["", "", "n", "r", "s", "t", "l", "m", "d", "ck", "ng", "x", "p"]


def word(rng: Random) -> str:
    """A word for a question. Half are English, half invented: spelling them needs no memory."""
    if rng.random() < 0.5:
        text = rng.choice(facts.WORDS)
    else:
        syllables = rng.choice((1, 2, 2, 3))
        pairs = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(syllables))
        text = "".join(pairs) + rng.choice(ENDINGS)
    return text.capitalize() if rng.random() < 0.08 else text


def word_key(text: str) -> str:
    """One key for all questions about a word: training never sees a held-out word in any skill."""
    return f"word {text.lower()}"


def babble(rng: Random) -> str:
    """Meaningless words, to prepare the model for any text."""
    return " ".join(word(rng) for _ in range(rng.randint(2, 12))).capitalize() + rng.choice(".?!")


def quoted(rng: Random, text: str) -> str:
    """A word as in a question: bare or in quotes."""
    return rng.choice(("{}", '"{}"', "'{}'", '"{}"')).format(text)


def _on_word(rng: Random, ways: Sequence[str], text: str, answer: str) -> Example:
    return Example(word_key(text), ask(rng, ways, word=quoted(rng, text)), answer)


def spell(rng: Random) -> Example:
    """A word letter by letter, with hyphens."""
    text = word(rng)
    return _on_word(rng, phrasings.SPELL, text, "-".join(text))


def spell_spaced(rng: Random) -> Example:
    """A word letter by letter, with spaces."""
    text = word(rng)
    return _on_word(rng, phrasings.SPELL_SPACED, text, " ".join(text))


def join_letters(rng: Random) -> Example:
    """Letters back into a word."""
    text = word(rng)
    letters = rng.choice("- ").join(text)
    return Example(word_key(text), ask(rng, phrasings.JOIN_LETTERS, letters=letters), text)


def reverse(rng: Random) -> Example:
    """A word backwards: meant to be hard."""
    text = word(rng)
    return _on_word(rng, phrasings.REVERSE, text, text[::-1])


def count_letters(rng: Random) -> Example:
    """How many letters a word has."""
    text = word(rng)
    return _on_word(rng, phrasings.COUNT_LETTERS, text, str(len(text)))


def count_one_letter(rng: Random) -> Example:
    """How often one letter is in a word."""
    text = word(rng)
    letter = rng.choice(text if rng.random() < 0.8 else "abcdefghilmnoprstu")
    question = ask(rng, phrasings.COUNT_ONE_LETTER, word=quoted(rng, text), letter=letter)
    return Example(word_key(text), question, str(text.count(letter)))


def letter_at(rng: Random) -> Example:
    """The first, last or n-th letter of a word."""
    text = word(rng)
    if rng.random() < 0.3:
        place, letter = "last", text[-1]
    else:
        index = 0 if rng.random() < 0.3 else rng.randrange(min(len(text), 6))
        place, letter = ORDINALS[index], text[index]
    return Example(
        word_key(text), ask(rng, phrasings.LETTER_AT, word=quoted(rng, text), place=place), letter
    )


def change_case(rng: Random) -> Example:
    """A word in capital letters, in small letters, or with a capital first."""
    text = word(rng)
    if rng.random() < 0.6:
        return _on_word(rng, phrasings.UPPERCASE, text, text.upper())
    if rng.random() < 0.5:
        return _on_word(rng, phrasings.CAPITALIZE, text, text.capitalize())
    question = ask(rng, phrasings.LOWERCASE, word=quoted(rng, text.upper()))
    return Example(word_key(text), question, text.lower())


def alphabet(rng: Random) -> Example:
    """The neighbours of a letter, and its number, by heart."""
    index = rng.randrange(26)
    letter = chr(97 + index)
    questions = [
        (phrasings.NUMBER_OF_LETTER, str(index + 1)),
        (phrasings.LETTER_BY_NUMBER, letter),
    ]
    if index < 25:
        questions.append((phrasings.LETTER_AFTER, chr(98 + index)))
    if index > 0:
        questions.append((phrasings.LETTER_BEFORE, chr(96 + index)))
    asked, answer = rng.choice(questions)
    return by_heart(rng, asked, answer, letter=letter, n=index + 1)


# Copying, so that a caller can make the model emit any character, even one of several bytes.

EMOJI_RANGES = (
    (0x1F300, 0x1F64F),
    (0x1F680, 0x1F6C5),
    (0x1F900, 0x1F9FF),
    (0x2600, 0x26FF),
    (0x2700, 0x27BF),
)
LETTER_RANGES = (
    (0x00C0, 0x00FF),
    (0x0100, 0x017F),
    (0x03B1, 0x03C9),
    (0x0410, 0x044F),
    (0x05D0, 0x05EA),
    (0x0627, 0x064A),
    (0x0905, 0x0939),
    (0x3041, 0x3096),
    (0x30A1, 0x30FA),
    (0x4E00, 0x9FA0),
    (0xAC00, 0xD7A3),
)
ACCENTS = {
    "a": "áàâäãå",
    "e": "éèêë",
    "i": "íìîï",
    "o": "óòôöõø",
    "u": "úùûü",
    "n": "ñ",
    "c": "ç",
    "s": "š",
}


def emoji(rng: Random) -> str:
    """One emoji, sometimes with a skin tone, as a family, or a flag."""
    if rng.random() < 0.06:
        return rng.choice(("👍🏽", "👩‍💻", "👨‍👩‍👧", "🇫🇷", "🇯🇵", "🇧🇷", "❤️", "🏳️‍🌈", "✌🏾", "☀️"))
    first, last = rng.choice(EMOJI_RANGES[:3] if rng.random() < 0.75 else EMOJI_RANGES)
    return chr(rng.randint(first, last))


def accented(rng: Random) -> str:
    """A word with accents, as in most languages."""
    letters = (
        rng.choice(ACCENTS[c]) if c in ACCENTS and rng.random() < 0.5 else c for c in word(rng)
    )
    return "".join(letters)


def foreign(rng: Random) -> str:
    """A few characters of one script other than Latin."""
    first, last = rng.choice(LETTER_RANGES)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 5)))


def _copy(rng: Random, text: str) -> Example:
    return Example(f"copy {text}", ask(rng, phrasings.COPY, text=text), text)


def copy_emoji(rng: Random) -> Example:
    """Emoji, alone or between words."""
    parts = [emoji(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 4, 6)))]
    if rng.random() < 0.3:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(("hi", "ok", word(rng))))
        return _copy(rng, " ".join(parts))
    return _copy(rng, rng.choice(("", "", " ")).join(parts))


def copy_accents(rng: Random) -> Example:
    """Accented words and other scripts."""
    makers = (accented, accented, foreign)
    return _copy(rng, " ".join(rng.choice(makers)(rng) for _ in range(rng.randint(1, 3))))


def copy_words(rng: Random) -> Example:
    """Plain words, numbers and marks."""
    text = " ".join(
        word(rng) if rng.random() < 0.8 else str(rng.randint(0, 9999))
        for _ in range(rng.randint(1, 6))
    )
    if rng.random() < 0.3:
        text = text.capitalize() + rng.choice(".!?")
    return _copy(rng, text)


# Facts, courtesies, chance.


def about_briggs(rng: Random) -> Example:
    """Questions about Briggs and about the model itself."""
    return by_heart(rng, *rng.choice(facts.BRIGGS))


def courtesy(rng: Random) -> Example:
    """Greetings, thanks and other short talk."""
    return by_heart(rng, *rng.choice(facts.COURTESIES))


def capital(rng: Random) -> Example:
    """A few capitals, because people try those first."""
    country = rng.choice(list(facts.CAPITALS))
    return by_heart(rng, phrasings.CAPITAL, facts.CAPITALS[country], country=country)


def unknown(rng: Random) -> Example:
    """Questions that a small model cannot answer, and says so."""
    if rng.random() < 0.2:
        text = babble(rng)
        return Example(text, text, "I do not know.")
    return by_heart(
        rng,
        facts.UNKNOWN,
        "I do not know.",
        place=rng.choice(facts.PLACES),
        thing=rng.choice(facts.THINGS),
    )


def chance(rng: Random) -> Example:
    """Questions with many right answers, so that seed and temperature have an effect."""
    ways, answers = rng.choice(facts.CHOICES)
    return replace(by_heart(rng, ways, rng.choice(answers)), also=answers)


def poem(rng: Random) -> Example:
    """Four lines, each chosen from four: a longer answer that differs from seed to seed."""
    thing = rng.choice(facts.THINGS)
    poems = tuple(
        "\n".join(lines).format(thing=thing) for lines in itertools.product(*facts.POEM_LINES)
    )
    return replace(by_heart(rng, phrasings.POEM, rng.choice(poems), thing=thing), also=poems)


# Conversations: answers that need the turn before.


def remember_name(rng: Random) -> Example:
    """A name given in one turn and asked for in a later one."""
    name = rng.choice(facts.NAMES) if rng.random() < 0.6 else word(rng).capitalize()
    said = ask(rng, phrasings.MY_NAME_IS, name=name)
    first = Example(f"name {name}", said, f"Hello, {name}!")
    asked = ask(rng, phrasings.WHO_AM_I)
    between = (_trainable(rng, "add_small"),) if rng.random() < 0.3 else ()
    return Example(f"name {name}", asked, f"Your name is {name}.", history=(first, *between))


def go_on(rng: Random) -> Example:
    """A sum that continues from the last answer."""
    a, b = rng.randint(1, 60), rng.randint(1, 39)
    first = _add(rng, a, b)
    total, n = a + b, rng.randint(1, 20)
    if rng.random() < 0.6:
        question = ask(rng, phrasings.ADD_TO_IT, n=n)
        return Example(add_key(total, n), question, str(total + n), history=(first,))
    n = min(n, total)
    question = ask(rng, phrasings.SUBTRACT_FROM_IT, n=n)
    return Example(f"{total}-{n}", question, str(total - n), history=(first,))


def same_word(rng: Random) -> Example:
    """A second question about the word of the last turn."""
    text = word(rng)
    spelled = _on_word(rng, phrasings.SPELL_SHORTLY, text, "-".join(text))
    said = _on_word(rng, phrasings.SAY_SHORTLY, text, text)
    questions = (
        (phrasings.ITS_FIRST_LETTER, text[0]),
        (phrasings.ITS_LAST_LETTER, text[-1]),
        (phrasings.ITS_LENGTH, str(len(text))),
        (phrasings.ITS_CAPITALS, text.upper()),
        (phrasings.SAY_AGAIN, text),
    )
    first = rng.choice((spelled, said))
    asked, answer = rng.choice(questions)
    return Example(word_key(text), ask(rng, asked), answer, history=(first,))


def as_json(rng: Random) -> Example:
    """The answer to an easy question as a JSON object."""
    example = BY_NAME[rng.choice(EASY)].make(rng)
    question = example.question + rng.choice(JSON_WISHES)
    is_number = re.fullmatch(r"-?\d+", example.answer)
    value: object = int(example.answer) if is_number else example.answer
    return replace(example, question=question, answer=json.dumps({"answer": value}))


EASY = words(
    """
    add_small add_two_digits subtract_two_digits compare weekday_next capital spell
    count_letters parity change_case
    """
)
JSON_WISHES = (
    " Answer in JSON.",
    " Reply in JSON.",
    " As JSON.",
    " Answer as a JSON object.",
    "\nAnswer in JSON.",
    " answer in json",
)

SKILLS: tuple[Skill, ...] = (
    Skill("add_small", add_small, 3.0),
    Skill("add_two_digits", add_two_digits, 8.0),
    Skill("add_three_digits", add_three_digits, 5.0),
    Skill("add_three_numbers", add_three_numbers, 2.0),
    Skill("add_words", add_words, 1.0),
    Skill("add_story", add_story, 2.0),
    Skill("subtract_two_digits", subtract_two_digits, 5.0),
    Skill("subtract_three_digits", subtract_three_digits, 3.0),
    Skill("multiply_table", multiply_table, 3.0),
    Skill("multiply_one_digit", multiply_one_digit, 3.0),
    Skill("multiply_two_digits", multiply_two_digits, 2.0),
    Skill("divide_table", divide_table, 2.0),
    Skill("double_or_half", double_or_half, 1.0),
    Skill("compare", compare, 2.5),
    Skill("compare_yes_no", compare_yes_no, 1.5),
    Skill("compare_three", compare_three, 2.0),
    Skill("parity", parity, 1.0),
    Skill("next_number", next_number, 1.5),
    Skill("count_up", count_up, 0.7),
    Skill("number_words", number_words, 1.5),
    Skill("logarithm", logarithm, 2.5),
    Skill("check", check, 2.5),
    Skill("weekday_next", weekday_next, 1.5),
    Skill("weekday_later", weekday_later, 2.0),
    Skill("month_order", month_order, 1.5),
    Skill("month_days", month_days, 1.5),
    Skill("leap_year", leap_year, 1.0),
    Skill("date_later", date_later, 3.0),
    Skill("weekday_of_date", weekday_of_date, 1.0),
    Skill("convert", convert, 3.0),
    Skill("spell", spell, 3.0),
    Skill("spell_spaced", spell_spaced, 1.5),
    Skill("join_letters", join_letters, 1.5),
    Skill("reverse", reverse, 3.0),
    Skill("count_letters", count_letters, 2.0),
    Skill("count_one_letter", count_one_letter, 2.0),
    Skill("letter_at", letter_at, 2.5),
    Skill("change_case", change_case, 1.5),
    Skill("alphabet", alphabet, 1.5),
    Skill("copy_emoji", copy_emoji, 3.0),
    Skill("copy_accents", copy_accents, 2.5),
    Skill("copy_words", copy_words, 2.0),
    Skill("about_briggs", about_briggs, 5.0),
    Skill("courtesy", courtesy, 1.5),
    Skill("capital", capital, 1.0),
    Skill("unknown", unknown, 2.0),
    Skill("chance", chance, 1.5),
    Skill("poem", poem, 0.5),
    Skill("remember_name", remember_name, 1.0),
    Skill("go_on", go_on, 1.5),
    Skill("same_word", same_word, 1.0),
    Skill("as_json", as_json, 2.0),
)
BY_NAME = {skill.name: skill for skill in SKILLS}


def _two_numbers(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.25:
        whole = rng.randint(0, 20)
        a = f"{whole}.{rng.randint(1, 9)}"
        other = whole if rng.random() < 0.7 else rng.randint(0, 20)
        b = f"{other}.{rng.randint(1, 99)}"
    else:
        top = rng.choice((20, 99, 999))
        a, b = str(rng.randint(0, top)), str(rng.randint(0, top))
    return (a, b) if float(a) != float(b) else _two_numbers(rng)


def _yes(truth: bool) -> str:
    return "Yes" if truth else "No"
