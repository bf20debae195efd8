"""What in a text says who somebody is, by its form, and what no terminal and no drawing may be handed.

For texts that nobody wrote to be personal: a product's name, a cell's output, an error. What customers write themselves
is read more strictly, in `analysis.feedback`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# Columns that say who somebody is; a test holds these to the canonical tables.
PERSONAL = frozenset({"customer_id", "first_name", "last_name", "email", "phone", "birth_date", "postcode"})

# Between the groups of a telephone number; a line end only where `label` has made it a blank.
_GAP = r"[ \u00a0\u2007\u2009\u202f./\N{NON-BREAKING HYPHEN}\N{EN DASH}-]"
_AT = r"(?:@|\uff20|%40|&#0*64;|\s?[\[({<]\s?(?:at|ät|@)\s?[\])}>]\s?)"
_DOT = r"(?:\.|\s?[\[({<]\s?(?:dot|punkt|punto|point|\.)\s?[\])}>]\s?)"
# Beginning only where a word begins: in a picture of megabytes every other start would be tried to its end.
_EMAIL = re.compile(
    rf"(?<![\w.+%-])[\w.+%'-]{{1,64}}?{_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}})*{_DOT}[^\W\d_]{{2,24}}"
    r"|(?<!\w)[\w.+-]{1,64} at [\w-]{1,63}(?: dot [\w-]{2,63})+",
    re.IGNORECASE,
)
_EMAIL_SIGNS = ("@", "\uff20", "%40", "64;", "at")
# With a country code, or a leading zero and a break, or as it is written in one country only, so that no amount, id or
# date is taken for a telephone.
_PHONE = re.compile(
    rf"(?<![\w.+])\+\d{{10,15}}(?!\w)|(?<![\w.+])\+\d{{1,3}}(?:{_GAP}?\(?\d{{1,5}}\)?){{2,6}}(?<=\d)(?!\w)"
    rf"|(?<![\w.,-])00[1-9]\d{{0,2}}(?:{_GAP}\(?\d{{1,8}}\)?){{2,5}}(?<=\d)(?!\w)"
    rf"|(?<![\w.,-])0\d{{2,5}}[ \u00a0\u202f/-]\d{{3,8}}(?:[ \u00a0\u202f-]\d{{2,5}})?(?!\w)"
    rf"|(?<![\w.,-])0[1-9](?:{_GAP}\d\d){{4}}(?!\w)"
    r"|(?<![\w.,-])\(\d{3}\)[ \u00a0\u202f.-]?\d{3}[ \u00a0\u202f.-]\d{4}(?!\w)"
    r"|(?<![\w.,-])\(0\d{1,5}\)[ \u00a0\u202f]?\d{3,8}(?:[ \u00a0\u202f-]\d{2,5})?(?!\w)"
    r"|(?<![\w.,-])[2-9]\d\d-[2-9]\d\d-\d{4}(?![\w-])"
)
_FEWEST_DIGITS = 9

_NAME = r"[^\W\d_a-zß-ÿ][\w'’.-]{0,40}"
_SMALL = r"(?:d[eu]s?|del?|de la|de los|de las|del|la|le|les|l['’]|d['’]|y|et|i)"
_STREET = re.compile(
    rf"\b\d{{1,4}}\s?(?:[a-z]|bis|ter)?,?\s(?:{_NAME}\s){{1,3}}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Close|Square|Terrace|Crescent)\b\.?"
    rf"|\b[A-ZÄÖÜ][\w-]{{1,40}}(?:str\.|straße|strasse|weg|platz|gasse|allee)\s\d{{1,4}}\s?[a-z]?\b"
    rf"|\b\d{{1,4}}\s?(?:bis|ter)?,?\s(?i:rue|avenue|boulevard|bd|place|chemin|impasse|allée|quai|cours)\s"
    rf"(?:{_SMALL}\s?){{0,2}}{_NAME}(?:[ -]{_NAME}){{0,2}}"
    rf"|\b(?i:calle|c/|c\.|avenida|avda\.?|plaza|pza\.?|paseo|camino|carrera|ronda)\s?(?:{_SMALL}\s){{0,2}}"
    rf"{_NAME}(?:\s(?:{_SMALL}\s){{0,2}}{_NAME}){{0,3}},?\s(?:n[.ºo°]*\s?)?\d{{1,4}}\b"
)
_BORN = re.compile(
    r"\b(?:born(?: on)?|birth ?da(?:y|te)|date of birth|d\.?o\.?b\.?|geb(?:oren)?\.?(?: am)?|geburts(?:tag|datum)"
    r"|née?(?: le)?|date de naissance|nacid[oa](?: el)?|fecha de nacimiento)[ :=]{1,3}"
    r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}(?:\.|st|nd|rd|th|er)?\s(?:de\s)?[^\W\d_]{3,12}\.?,?\s(?:de\s)?\d{4}"
    r"|[^\W\d_]{3,12}\s\d{1,2}(?:st|nd|rd|th)?,?\s\d{4})",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?\b")

_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL)
# Every character XML 1.0 has no place for, and those that turn the direction of what follows.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def emails(text: str) -> str:
    """The text with '[e-mail]' in place of each address.

    >>> emails("Ask anna@example.org or bob (at) example.org")
    'Ask [e-mail] or [e-mail]'
    """
    return _EMAIL.sub("[e-mail]", text) if any(sign in text for sign in _EMAIL_SIGNS) else text


def contacts(text: str) -> str:
    """The text without e-mail addresses and telephone numbers.

    >>> contacts("Service hotline (212) 555-0123")
    'Service hotline [phone]'
    """
    text = emails(text)
    return _PHONE.sub(lambda found: "[phone]" if sum(map(str.isdigit, found[0])) >= _FEWEST_DIGITS else found[0], text)


def personal(text: str) -> str:
    """The same without bank accounts, streets and dates of birth too.

    >>> personal("lives at 12 rue de la Paix, born 7 March 1971")
    'lives at [address], [date of birth]'
    """
    text = contacts(_ACCOUNT.sub(lambda found: "[account]" if _is_account(found[0]) else found[0], text))
    return whereabouts(text)


def whereabouts(text: str) -> str:
    """The text without streets and dates of birth, as English, French, German and Spanish write them.

    >>> whereabouts("Calle de Alcalá, 45; née le 7 mars 1971")
    '[address]; [date of birth]'
    """
    return _BORN.sub("[date of birth]", _STREET.sub("[address]", text))


def label(text: str) -> str:
    """A name as a drawing can write it: without contacts, those broken over two lines included, and valid in XML."""
    text = drawable(text)
    whole = " ".join(text.split("\n"))
    masked = contacts(whole)
    return text if masked == whole else masked


def drawable(text: str) -> str:
    """The text without the characters that XML forbids; one of them, and no browser shows the drawing."""
    return _NO_XML.sub("", text)


def figure(canvas: Any) -> None:
    """No text of a drawing names a contact or holds what XML forbids; its words come from the data."""
    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for form in (axis.get_major_formatter(), axis.get_minor_formatter()):
                form.format_ticks = _masked(form.format_ticks)
    for text in canvas.findobj(lambda artist: hasattr(artist, "set_text")):
        text.set_text(label(text.get_text()))


def _masked(written: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    return lambda places: [label(name) for name in written(places)]


def shown_figures() -> None:
    """Mask the labels of whatever figure IPython shows from now on: in a run's kernel, whose pages travel."""
    from IPython.core import pylabtools

    show: Callable[..., Any] = pylabtools.print_figure

    def print_figure(canvas: Any, *form: Any, **more: Any) -> Any:
        figure(canvas)
        return show(canvas, *form, **more)

    setattr(pylabtools, show.__name__, print_figure)


def printable(text: str) -> str:
    """The text as a terminal may have it: nothing in it moves the cursor, colours, links or turns what follows."""
    return _TURNS.sub("", drawable(_TERMINAL.sub("", text)).replace("\r", " "))


def _is_account(text: str) -> bool:
    """Does an account number keep its own check digits? Else it is a code like any other."""
    bare = re.sub(r"\s", "", text)
    return 15 <= len(bare) <= 34 and int("".join(str(int(letter, 36)) for letter in bare[4:] + bare[:4])) % 97 == 1
