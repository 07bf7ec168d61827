"""Generated contexts: endless text whose structure is known and right, so that what a model learns
of it can be checked.

arithmetic   lines of one kind a document: sums, differences, products, divisions with rest, comparisons, brackets; every answer is right
records      a table of orders as CSV or JSON lines; ids rise by one, total = quantity * price to the cent
calendar     days, weekdays and distances in the proleptic Gregorian calendar; every statement is true
invented     a made-up language: three noun classes, number, object case, agreement of adjective and verb, subject-object-verb order

Document number n of a context is a pure function of (context, n).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from random import Random

from cpart_core.corpus.document import Document


def generate_documents(name: str, write: Callable[[Random], str]) -> Iterator[Document]:
    """Documents of one generated context, without end."""
    number = 0
    while True:
        # a string seed is hashed with SHA-512: the same on every machine
        yield Document(write(Random(f"cpart {name} {number}")), name, f"{name} {number}")
        number += 1


def write_arithmetic(random: Random) -> str:
    """30 to 60 lines of one kind, numbers of one size."""
    kind = random.choice(
        (
            write_sum,
            write_difference,
            write_product,
            write_division,
            write_comparison,
            write_brackets,
        )
    )
    largest = 10 ** random.choice((1, 2, 2, 3, 4))
    return "".join(kind(random, largest) for _ in range(random.randint(30, 60)))


def write_sum(random: Random, largest: int) -> str:
    a, b = random.randrange(largest), random.randrange(largest)
    return f"{a} + {b} = {a + b}\n"


def write_difference(random: Random, largest: int) -> str:
    a, b = random.randrange(largest), random.randrange(largest)
    return f"{a} - {b} = {a - b}\n"


def write_product(random: Random, largest: int) -> str:
    a, b = random.randrange(largest), random.randrange(13)
    return f"{a} * {b} = {a * b}\n"


def write_division(random: Random, largest: int) -> str:
    a, b = random.randrange(largest), random.randint(1, 12)
    return f"{a} / {b} = {a // b} rest {a % b}\n"


def write_comparison(random: Random, largest: int) -> str:
    a, b = random.randrange(largest), random.randrange(largest)
    return f"{a} {'<' if a < b else '>' if a > b else '='} {b}\n"


def write_brackets(random: Random, largest: int) -> str:
    a, b, c = random.randrange(largest), random.randrange(largest), random.randrange(10)
    return f"({a} + {b}) * {c} = {(a + b) * c}\n"


GOODS = tuple(
    "apples bolts candles drums eggs flutes gloves hats inkpots jars kites lamps mugs nails oars"
    " pens".split()
)
CITIES = tuple(
    "Accra Bergen Cusco Dakar Essen Fukuoka Gdansk Hanoi Izmir Jaipur Kyiv Lima Malmö Nantes Oslo"
    " Puno".split()
)
BUYERS = tuple(
    "Amara Boris Chen Diego Elif Farah Goran Hana Ivo Jun Kofi Lena Mei Noor Otto Priya".split()
)


def write_records(random: Random) -> str:
    """10 to 30 orders of a shop, as CSV with a header or as JSON lines."""
    as_json = random.random() < 0.5
    number, day = (
        random.randint(100, 9000),
        datetime.date(2000, 1, 1) + datetime.timedelta(random.randrange(9000)),
    )
    goods, cities, buyers = (
        random.sample(GOODS, 5),
        random.sample(CITIES, 4),
        random.sample(BUYERS, 6),
    )
    lines = [] if as_json else ["id,date,buyer,city,item,quantity,price,total\n"]
    for _ in range(random.randint(10, 30)):
        quantity, cents = random.randint(1, 40), random.randint(5, 2500)
        order = {
            "id": number,
            "date": day.isoformat(),
            "buyer": random.choice(buyers),
            "city": random.choice(cities),
            "item": random.choice(goods),
            "quantity": quantity,
            "price": money(cents),
            "total": money(quantity * cents),
        }
        lines.append(
            (
                json.dumps(order, ensure_ascii=False)
                if as_json
                else ",".join(map(str, order.values()))
            )
            + "\n"
        )
        number += 1
        day += datetime.timedelta(random.choice((0, 0, 0, 1, 1, 2)))
    return "".join(lines)


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def write_calendar(random: Random) -> str:
    """20 to 40 true sentences around one year."""
    year = random.randint(1600, 2399)
    kind = random.choice((write_weekday, write_later, write_between, write_length))
    kinds = (kind, kind, write_weekday, write_later, write_between, write_length)
    return "".join(
        random.choice(kinds)(random, near(random, year)) for _ in range(random.randint(20, 40))
    )


def near(random: Random, year: int) -> datetime.date:
    return datetime.date(year, 1, 1) + datetime.timedelta(random.randrange(730))


def spoken(day: datetime.date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def write_weekday(random: Random, day: datetime.date) -> str:
    return f"{day.isoformat()} is {spoken(day)}, a {WEEKDAYS[day.weekday()]}.\n"


def write_later(random: Random, day: datetime.date) -> str:
    days = random.randint(1, 99)
    later = day + datetime.timedelta(days)
    return f"{days} days after {spoken(day)} comes {WEEKDAYS[later.weekday()]}, {spoken(later)}.\n"


def write_between(random: Random, day: datetime.date) -> str:
    other = day + datetime.timedelta(random.randint(1, 400))
    return f"From {spoken(day)} to {spoken(other)} it is {(other - day).days} days.\n"


def write_length(random: Random, day: datetime.date) -> str:
    following = (day.replace(day=1) + datetime.timedelta(31)).replace(day=1)
    leap = (
        "a leap year"
        if datetime.date(day.year, 12, 31).timetuple().tm_yday == 366
        else "no leap year"
    )
    return (
        f"{MONTHS[day.month - 1]} {day.year} has {(following - datetime.timedelta(1)).day} days;"
        f" {day.year} is {leap}.\n"
    )
