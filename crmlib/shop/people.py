"""Who is who? Accounts and guests of raw exports become people: by account, then e-mail, then phone, never by name.

The rule looks at all rows at once, so that the order in which files are read makes no difference.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

__all__ = ["Identity", "People", "e164", "email_of", "is_shared_address", "match"]

_RULES = ("same account", "same e-mail", "same phone")
_Item = tuple[int, int, str]  # which rule it makes, how long an account is, and itself
_MANY_NAMES = 3  # an address or a phone under more names or accounts than this is a household's at best
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]{2,}")
# Of nobody, or of the marketplace that passes letters on.
_RELAYS = re.compile(
    r"^(no-?reply|do-?not-?reply|none|noemail|no-?mail|test|guest|info|unknown|pos|walkin)@"
    r"|@(marketplace\.amazon\.|members\.ebay\.|.*\.etsy\.com$|example\.invalid$|noemail\.|relay\.)"
)
# Country -> calling code; a leading 0 of numbers within these is not dialled from abroad, but for Italy.
_CALLING = {
    "AR": "54", "AT": "43", "AU": "61", "BE": "32", "BG": "359", "BR": "55", "CA": "1", "CH": "41", "CL": "56",
    "CN": "86", "CO": "57", "CZ": "420", "DE": "49", "DK": "45", "EE": "372", "ES": "34", "FI": "358", "FR": "33",
    "GB": "44", "GR": "30", "HK": "852", "HR": "385", "HU": "36", "ID": "62", "IE": "353", "IL": "972", "IN": "91",
    "IT": "39", "JP": "81", "KR": "82", "LT": "370", "LU": "352", "LV": "371", "MX": "52", "MY": "60", "NL": "31",
    "NO": "47", "NZ": "64", "PH": "63", "PL": "48", "PT": "351", "RO": "40", "RS": "381", "SE": "46", "SG": "65",
    "SI": "386", "SK": "421", "TH": "66", "TR": "90", "TW": "886", "UA": "380", "US": "1", "VN": "84", "ZA": "27",
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """What one row says of a person: an account with the platform it is of, an e-mail, a phone, a name, or nothing."""

    platform: str = ""
    account: str = ""
    email: str = ""
    phone: str = ""
    name: str = ""


@dataclass(frozen=True)
class People:
    """The people that rows are of, and how they were told.

    of        what a row says -> customer_id, empty for somebody who cannot be known again
    why       customer_id -> the accounts, addresses and phones it stands for, each with the rule by which it is theirs,
              where these are more than one: 'own id', or what a row that is known already has the same of
    joined    people with several accounts, or with orders of their own beside an account
    by_phone  people who are known by their phone where they gave no address
    shared    addresses that many names or a marketplace use, by which nobody is joined
    doubtful  phones that would have joined people with different addresses: these stay apart
    disputed  people whom one export says agreed to e-mail and another says did not: these count as a no
    nameless  accounts without an address, a phone or an id of their own
    """

    of: Mapping[Identity, str] = field(default_factory=dict)
    why: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    people: int = 0
    joined: int = 0
    by_phone: int = 0
    shared: int = 0
    doubtful: int = 0
    disputed: int = 0
    nameless: int = 0


def email_of(text: str) -> str:
    """An address in small letters without blanks; empty where it is none.

    >>> email_of(" Kim@Example.org "), email_of("n/a")
    ('kim@example.org', '')
    """
    plain = text.strip().strip("'<>").lower()
    return plain if _EMAIL.fullmatch(plain) else ""


def e164(text: str, country: str = "") -> str:
    """A phone number as +49301234567, by the shop's country where it names none; empty where it cannot be told.

    >>> e164("030 / 123 45 67", "DE"), e164("'+1 (212) 555-0100"), e164("212 555 0100"), e164("0000000", "DE")
    ('+49301234567', '+12125550100', '', '')
    """
    plain = re.sub(r"(?i)(ext|x|#).*$", "", text.strip().lstrip("'").replace("(0)", ""))
    digits = re.sub("[^0-9]", "", plain)
    abroad = plain.lstrip().startswith("+") or digits.startswith("00")
    code = _CALLING.get(country, "")
    if abroad:
        digits = digits.removeprefix("00")
    elif not code:
        return ""
    elif not (code == "1" and len(digits) == 11 and digits[0] == "1"):
        digits = code + (digits if country == "IT" else digits.lstrip("0"))
    return f"+{digits}" if 8 <= len(digits) <= 15 and len(set(digits[3:])) > 1 else ""


def is_shared_address(email: str, names: int = 0) -> bool:
    """Is an address one by which nobody can be told, because of what it is or because of the names it goes by?

    >>> is_shared_address("noreply@shop.example"), is_shared_address("kim@example.org", 2)
    (True, False)
    """
    return bool(_RELAYS.search(email)) or names > _MANY_NAMES


class _Joined:
    """Sets that grow together; the same whatever the order in which they are joined."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def root(self, item: str) -> str:
        parent = self.parent.setdefault(item, item)
        while parent != self.parent[parent]:
            self.parent[item] = parent = self.parent[self.parent[parent]]
        return parent

    def join(self, one: str, other: str) -> None:
        a, b = self.root(one), self.root(other)
        self.parent[max(a, b)] = min(a, b)


def match(identities: Iterable[Identity], *, country: str = "") -> People:
    """Which rows are of one person? `identities` as they were written; `country` is the shop's, for phones.

    One account is one person. Rows of one address are one person, unless it is shared: then they are apart by name.
    Rows with neither address nor account are of whoever alone has their phone; a phone of several people joins none.
    """
    written = sorted(set(identities), key=lambda i: (i.platform, i.account, i.email, i.phone, i.name))
    names: dict[str, set[str]] = defaultdict(set)
    for row in written:
        if row.name and (email := email_of(row.email)):
            names[email].add(re.sub(r"\W+", " ", row.name.casefold()).strip())
    shared = {email for email in (email_of(row.email) for row in written)
              if email and is_shared_address(email, len(names[email]))}  # fmt: skip
    sets, node_of, phones = _Joined(), {}, {}
    for row in written:
        node_of[row], phones[row] = _node(row, sets, shared), e164(row.phone, country)
    doubtful = _by_phone(node_of, phones, sets)
    return _told(node_of, phones, sets, shared=len(shared), doubtful=doubtful)


def _node(row: Identity, sets: _Joined, shared: set[str]) -> str:
    """The person of a row by account and address; empty where it has neither."""
    email = email_of(row.email)
    nodes = [f"a {row.platform} {row.account}"] if row.account else []
    if email in shared:
        # Apart by name; of a marketplace's or of nobody's address, nobody where there is none.
        named = row.name.strip() or not is_shared_address(email)
        nodes += [f"s {email} {row.name.casefold().strip()}".strip()] if named and not row.account else []
    elif email:
        nodes.append(f"e {email}")
    for other in nodes[1:]:
        sets.join(nodes[0], other)
    return sets.root(nodes[0]) if nodes else ""


def _by_phone(node_of: dict[Identity, str], phones: Mapping[Identity, str], sets: _Joined) -> int:
    """Join whom a phone tells to be one: people without an address to the one who has one. Returns phones in doubt."""
    roots = {row: sets.root(node) for row, node in node_of.items() if node}
    with_email = {sets.root(item) for item in list(sets.parent) if item[0] in "es"}
    holders: dict[str, set[str]] = defaultdict(set)
    for row, phone in phones.items():
        if phone:
            holders[phone].add(roots.get(row, f"p {phone}"))
    # People without an address, joined by phones among themselves; then each such group to the address it reaches.
    groups = _Joined()
    reached: dict[str, set[str]] = defaultdict(set)
    torn = {phone for phone, who in holders.items() if len(who) > _MANY_NAMES or len(who & with_email) > 1}
    for phone, who in holders.items():
        plain = sorted(who - with_email) if phone not in torn else []
        for other in plain[1:]:
            groups.join(plain[0], other)
    for phone, who in holders.items():
        if phone not in torn and (without := who - with_email):
            reached[groups.root(min(without))] |= who & with_email
    members: dict[str, list[str]] = defaultdict(list)
    for item in sorted({person for held in holders.values() for person in held - with_email}):
        members[groups.root(item)].append(item)
    in_doubt = {root for root, targets in reached.items() if len(targets) > 1}
    for root, some in members.items():
        if root not in in_doubt:
            for item in (*some[1:], *reached.get(root, ())):
                sets.join(some[0], item)
    for row, phone in phones.items():
        if not node_of[row] and phone:
            node_of[row] = f"p {phone}"
    return len(torn) + len(in_doubt)


def _told(
    node_of: Mapping[Identity, str], phones: Mapping[Identity, str], sets: _Joined, *, shared: int, doubtful: int
) -> People:
    parts: dict[str, set[str]] = defaultdict(set)
    known: dict[str, set[str]] = defaultdict(set)
    rows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for item in list(sets.parent):
        parts[sets.root(item)].add(item)
    for row, node in node_of.items():
        if node:
            root = sets.root(node)
            parts[root].add(node)
            known[root] |= {phones[row]} - {""}
            account = f"{row.platform} {row.account}".strip() if row.account else ""
            email = (
                node[2:] if node[0] == "s" else email_of(row.email) if f"e {email_of(row.email)}" in sets.parent else ""
            )
            rows[root].append((account, email, phones[row]))
    ids = {root: _id(items, known[root]) for root, items in parts.items()}
    twice = {name for name, n in Counter(ids.values()).items() if n > 1}
    # Accounts of two platforms may bear one number.
    ids = {root: f"{min(parts[root])[2:]}" if name in twice else name for root, name in ids.items()}
    told = {ids[root]: _why(said) for root, said in rows.items()}
    accounts: dict[str, set[tuple[str, str]]] = defaultdict(set)
    called: set[str] = set()
    for row, node in node_of.items():
        if node:
            accounts[sets.root(node)].add((row.platform, row.account))
            called |= {sets.root(node)} if not row.account and not email_of(row.email) else set()
    several = {root for root, held in accounts.items() if len(held) > 1 and any(account for _, account in held)}
    return People(
        of={row: ids[sets.root(node)] if node else "" for row, node in node_of.items()},
        why={who: said for who, said in told.items() if len(said) > 1},
        people=len(parts),
        joined=len(several),
        by_phone=sum(len(parts[root]) > 1 for root in called),
        shared=shared,
        doubtful=doubtful,
    )


def _why(rows: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """The account, address and phone of each of a person's rows, and what led to it, before phones what is surer."""
    if len(rows) == 1:
        alone = [(item, rule) for item, rule in zip(rows[0], _RULES, strict=True) if item]
        return {item: alone[0][1] if place else "own id" for place, (item, _) in enumerate(alone)}
    links: dict[_Item, set[_Item]] = defaultdict(set)
    for row in rows:
        said = {(place, 0 if place else len(item), item) for place, item in enumerate(row) if item}
        for one in said:
            links[one] |= said
    found: dict[str, str] = {}
    queue: list[tuple[int, _Item]] = [(-1, min(links))] if links else []
    while queue:
        rule, item = heappop(queue)
        if item[2] not in found:
            found[item[2]] = _RULES[rule] if rule >= 0 else "own id"
            for other in links[item]:
                heappush(queue, (item[0], other))
    return found


def _id(items: set[str], phones: set[str]) -> str:
    """What a person is called: the first account, else the address, else the phone."""
    accounts = sorted((len(item), item) for item in items if item[0] == "a")
    if accounts:
        return accounts[0][1].split(" ", 2)[2]
    return min((item[2:] for item in items if item[0] in "es"), default=min(phones, default=min(items)[2:]))
