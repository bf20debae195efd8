"""What are the demo shop's customers called, and where do they live?

Invented surnames, addresses of example.com and example.org, and telephone numbers only from the ranges
that the regulators of Germany, Britain and France keep free for films and books.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib.shop.samples.demo.population import AS_OF, FIRST_DAY

_FEMALE = [
    "Anna", "Berta", "Clara", "Dorothea", "Elif", "Frieda", "Greta", "Hanna", "Ida", "Johanna",
    "Katrin", "Leyla", "Marta", "Nora", "Olga", "Paula", "Rosa", "Sophie", "Thea", "Ulrike", "Vera",
    "Wanda", "Yasmin", "Zoe", "Charlotte", "Amelie", "Mia", "Emma", "Lucy", "Alice", "Brigitte",
    "Camille",
]  # fmt: skip
_MALE = [
    "Anton", "Bruno", "Carl", "David", "Emil", "Felix", "Georg", "Hannes", "Ivo", "Jakob", "Karim",
    "Leo", "Max", "Nils", "Oskar", "Paul", "Quirin", "Robert", "Simon", "Theo", "Uwe", "Viktor",
    "Willi", "Yusuf", "Aaron", "Ben", "Henry", "Oliver", "Luc", "Matteo", "Jan", "Pieter",
]  # fmt: skip
_LAST = [
    "Teekessel", "Bohnenkamp", "Kannengiesser", "Siebmacher", "Tassenfreund", "Kaffsack", "Zuckerhut",
    "Muster", "Beispielmann", "Probst-Probe", "Dosenbach-Deckel", "Filtermann", "Sahnehaube",
    "Honigtau", "Minzenbrink", "Krumenberg", "Zwieback", "Butterblum", "Loeffelholz-Stiel", "Untertass",
    "Wasserkocher", "Dampfnudel", "Teabody", "Kettleworth", "Crumpetson", "Biscotte", "Theiere",
    "Sampleton", "Placeholder", "Testerman", "Mockingham", "Brewster-Pott", "Musterfrau", "Specimen",
    "Fallbeispiel", "Phantasie", "Ausgedacht", "Erfunden", "Nobody", "Neverwas", "Quasimann",
    "Scheinbar", "Irgendwer", "Niemandsland", "Platzhalter", "Vorlage", "Entwurf", "Kandiszucker",
]  # fmt: skip
# country, share, telephone pattern, cities with region and the first digits of the postcode
_PLACES: tuple[tuple[str, float, str, tuple[tuple[str, str, str], ...]], ...] = (
    ("DE", 0.70, "+49 30 23125 {:03d}", (
        ("Berlin", "Berlin", "10"), ("Hamburg", "Hamburg", "20"), ("Munich", "Bavaria", "80"),
        ("Cologne", "North Rhine-Westphalia", "50"), ("Leipzig", "Saxony", "04"), ("Bremen", "Bremen", "28"),
        ("Freiburg", "Baden-Wuerttemberg", "79"), ("Kassel", "Hesse", "34"),
    )),
    ("AT", 0.11, "", (("Vienna", "Vienna", "1"), ("Graz", "Styria", "8"), ("Linz", "Upper Austria", "4"))),
    ("CH", 0.06, "", (("Zurich", "Zurich", "8"), ("Bern", "Bern", "3"))),
    ("NL", 0.05, "", (("Utrecht", "Utrecht", "35"), ("Groningen", "Groningen", "97"))),
    ("GB", 0.05, "+44 20 7946 0{:03d}", (("London", "England", "N"), ("Leeds", "England", "LS"))),
    ("FR", 0.03, "+33 1 99 00 {:02d} {:02d}", (("Strasbourg", "Grand Est", "67"), ("Lyon", "Rhone", "69"))),
)  # fmt: skip
LEAP_DAY_BIRTHS = 6
_LANGUAGES = {"DE": "de", "AT": "de", "CH": "de", "NL": "nl", "GB": "en", "FR": "fr"}


def people_table(rng: np.random.Generator, people: pd.DataFrame) -> pd.DataFrame:
    """One row per customer with the canonical columns, except created_at and the consents.

    `people` has a row per customer with its acquisition_channel; the order of rows is kept.
    """
    size = len(people)
    gender = rng.choice(["female", "male", "diverse", ""], size=size, p=[0.53, 0.34, 0.02, 0.11])
    as_female = np.where(gender == "female", True, np.where(gender == "male", False, rng.random(size) < 0.5))
    first = np.where(as_female, rng.choice(_FEMALE, size=size), rng.choice(_MALE, size=size))
    last = rng.choice(_LAST, size=size)
    host = rng.choice(["example.com", "example.org"], size=size, p=[0.7, 0.3])
    email = [
        f"{a}.{b}{number}@{where}".lower()
        for a, b, number, where in zip(first, last, range(1, size + 1), host, strict=True)
    ]
    place = rng.choice(len(_PLACES), size=size, p=[entry[1] for entry in _PLACES])
    town, digits, has_phone = rng.random(size), rng.integers(0, 1000, size), rng.random(size) < 0.6
    country, region, city, postcode, phone = [], [], [], [], []
    for which, where, number, listed in zip(place, town, digits, has_phone, strict=True):
        code, _, pattern, cities = _PLACES[which]
        name, state, prefix = cities[int(where * len(cities))]
        country.append(code)
        region.append(state)
        city.append(name)
        postcode.append(_postcode(code, prefix, int(number)))
        phone.append(pattern.format(*_digits(code, int(number))) if listed and pattern else "")
    return pd.DataFrame(
        {
            "first_name": first,
            "last_name": last,
            "email": email,
            "phone": phone,
            "birth_date": _births(rng, size),
            "gender": gender,
            "country": country,
            "region": region,
            "city": city,
            "postcode": postcode,
            "acquisition_channel": people["acquisition_channel"].to_numpy(),
            "language": [_LANGUAGES[code] for code in country],
        }
    )


def consents(rng: np.random.Generator, created_at: pd.Series[pd.Timestamp]) -> pd.DataFrame:
    """email_consent, sms_consent and consent_at, when the consents were last given or changed."""
    size = len(created_at)
    later = rng.random(size) < 0.25
    end = pd.Timestamp(AS_OF)
    # Whole days later, at the same time of day: never in the hour that summer time skips.
    span = (end - created_at).dt.days.to_numpy()
    shift = np.where(later, np.floor(rng.random(size) * span), 0.0).astype(np.int64).astype("timedelta64[D]")
    email = rng.random(size) < np.where(later, 0.35, 0.62)
    return pd.DataFrame(
        {
            "email_consent": email,
            "sms_consent": email & (rng.random(size) < 0.3),
            "consent_at": (created_at + shift).astype("datetime64[us]"),
        }
    )


def _births(rng: np.random.Generator, size: int) -> pd.Series[pd.Timestamp]:
    age = np.clip(rng.gamma(9.0, 4.9, size), 18.5, 92)
    day = (FIRST_DAY - (age * 365.25).astype(np.int64)).astype("datetime64[s]")
    births = pd.Series(day.astype("datetime64[us]"))
    births[rng.random(size) < 0.3] = pd.NaT
    leap = rng.choice(size, size=min(LEAP_DAY_BIRTHS, size), replace=False)
    years = rng.choice([1952, 1960, 1968, 1976, 1980, 1984, 1988, 1992, 1996, 2000], size=len(leap))
    births.iloc[leap] = [pd.Timestamp(int(year), 2, 29) for year in years]
    return births


def _digits(country: str, number: int) -> tuple[int, ...]:
    return (number // 10, number % 100) if country == "FR" else (number,)


def _postcode(country: str, prefix: str, number: int) -> str:
    match country:
        case "GB":
            return f"{prefix}{1 + number % 9} {number % 8 + 1}XX"
        case "NL":
            return f"{prefix}{number % 100:02d} AB"
        case "AT" | "CH":
            return f"{prefix}{number:03d}"
        case _:
            return f"{prefix}{number:03d}"


def first_names() -> list[str]:
    """Every first name in use, for texts that mention somebody."""
    return [*_FEMALE, *_MALE]
