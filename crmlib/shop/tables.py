"""The canonical tables: what a shop may bring, column by column.

`data/README.md` is the same as a page; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "time", "date", "money", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column. Kinds: id and text are strings, time a local moment, date a day, money and number decimals."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class State:
    """Columns that change after a row was written: `at` and they read as empty where `at` is at or after as_of.

    A state without a date cannot be undone: it is taken as it is, and the page says so.
    """

    at: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table: what a row is, the columns that name it, the time that as_of cuts, and what changes later."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time: str = ""
    states: tuple[State, ...] = ()
    follows_order: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)


def _columns(text: str) -> tuple[Column, ...]:
    """Lines of `name! kind meaning`, ! for required."""
    columns = []
    for line in text.strip().splitlines():
        name, kind, meaning = line.split(maxsplit=2)
        columns.append(Column(name.rstrip("!"), kind, meaning, name.endswith("!")))  # type: ignore[arg-type]
    return tuple(columns)


_TABLES = (
    Table(
        "customers",
        "a person who has an account",
        _columns("""
            customer_id!         id     names the customer in every other table
            created_at           time   when the account was made
            first_name           text   given name
            last_name            text   family name
            email                text   address for e-mail
            phone                text   with country code
            birth_date           date   birthday
            gender               text   as the shop records it
            country              text   country
            region               text   region or state
            city                 text   city
            postcode             text   postcode, as text
            acquisition_channel  text   where the customer came from
            language             text   two-letter code of the language to write in
            email_consent        flag   may be written to by e-mail
            sms_consent          flag   may be sent text messages
            ads_consent          flag   may be matched for adverts, as Google and Meta do
            consent_at           time   when those consents were last given or withdrawn
            email_status         text   as the mailing tool says: subscribed, unsubscribed, bounced …
        """),
        key=("customer_id",),
        time="created_at",
        states=(State("consent_at", ("email_consent", "sms_consent", "ads_consent", "email_status")),),
    ),
    Table(
        "orders",
        "an order, as it stands now",
        _columns("""
            order_id!      id     names the order
            ordered_at!    time   when it was placed
            customer_id    id     who placed it; empty for a guest
            total          money  what the customer paid, as the shop counts it; below zero for a credit note
            status         text   as the shop names it; cancelled, failed, draft and the like take the order out
            channel        text   web, shop, app …
            staff_id       id     who sold it
            campaign_id    id     campaign it is credited to
            coupon         text   coupon code
            currency       text   three-letter code; one currency a run
            discount       money  discount on the whole order
            shipping       money  shipping charged
            tax            money  tax in the total
            refunded       money  amount given back so far
            refunded_at    time   when it was given back
            cancelled_at   time   when it was cancelled
            parent_id      id     the order that a row below zero gives money back for
        """),
        key=("order_id",),
        time="ordered_at",
        states=(State("refunded_at", ("refunded",)), State("cancelled_at", ())),
    ),
    Table(
        "order_lines",
        "a product within an order",
        _columns("""
            order_id!    id      the order
            product_id!  id      the product
            quantity     number  pieces; zero counts as money, not in baskets
            unit_price   money   price of one piece
            line_total   money   price of the line; wins over unit_price × quantity
            discount     money   discount within the line
            unit_cost    money   what one piece cost the shop
            line_no      id      line within the order; with it a line has a key
        """),
        key=("order_id", "line_no"),
        follows_order=True,
    ),
    Table(
        "products",
        "a product as it is sold",
        _columns("""
            product_id!  id     names the product
            name         text   what a customer would call it
            category     text   kind of product
            brand        text   brand
            list_price   money  price before discounts
            unit_cost    money  what one piece costs the shop
            supplier     text   who delivers it
            kind         text   goods, shipping, fee, gift_card …; all but goods are money only
        """),
        key=("product_id",),
    ),
    Table(
        "feedback",
        "a text a customer wrote",
        _columns("""
            feedback_id!  id      names the text
            text!         text    what was written
            created_at    time    when
            customer_id   id      who wrote it
            order_id      id      about which order
            product_id    id      about which product
            channel       text    review, e-mail, survey …
            rating        number  stars, 1 to 5
            language      text    two-letter code, where known
        """),
        key=("feedback_id",),
        time="created_at",
    ),
    Table(
        "assignments",
        "a unit put into one arm of an experiment",
        _columns("""
            experiment!   text  name of the experiment
            unit_id!      id    visitor or customer
            variant!      text  the arm
            assigned_at!  time  when
        """),
        time="assigned_at",
    ),
    Table(
        "outcomes",
        "a metric of a unit; several of one unit are added up",
        _columns("""
            experiment!  text    name of the experiment
            unit_id!     id      visitor or customer
            metric!      text    name of the metric
            value!       number  what was measured
            observed_at  time    when the measuring window closed
            pre_value    number  the same metric before the experiment
        """),
        time="observed_at",
    ),
    Table(
        "results",
        "a metric of one arm of an experiment, added up elsewhere",
        _columns("""
            experiment!     text    name of the experiment
            variant!        text    the arm
            metric!         text    name of the metric
            n!              number  units in the arm
            conversions     number  units that did it, where the metric says yes or no
            sum             number  sum of the metric over the units
            sum_of_squares  number  sum of its squares; with it a range can be told
            started_at      time    when the experiment began
            ended_at        time    when it ended
        """),
        key=("experiment", "variant", "metric"),
        time="ended_at",
    ),
    Table(
        "tickets",
        "a request to customer service",
        _columns("""
            ticket_id!      id      names the ticket
            opened_at!      time    when it came in
            customer_id     id      from whom
            first_reply_at  time    first answer
            closed_at       time    when it was closed
            topic           text    what it was about
            staff_id        id      who handled it
            reopened        flag    opened again after closing
            satisfaction    number  the customer's mark
        """),
        key=("ticket_id",),
        time="opened_at",
        states=(State("first_reply_at", ()), State("closed_at", ("reopened", "satisfaction"))),
    ),
    Table(
        "shipments",
        "a parcel of an order",
        _columns("""
            order_id!     id    the order
            shipped_at    time  when it left
            delivered_at  time  when it arrived
            carrier       text  who carried it
        """),
        states=(State("shipped_at", ()), State("delivered_at", ())),
        follows_order=True,
    ),
    Table(
        "touches",
        "one contact with a customer before or between orders",
        _columns("""
            customer_id!  id    who
            at!           time  when
            channel       text  search, e-mail, advert …
            kind          text  visit, click, sent …
            campaign_id   id    campaign
            device        text  phone, computer …
        """),
        time="at",
    ),
    Table(
        "staff",
        "a member of staff",
        _columns("""
            staff_id!   id    names the person
            team        text  team
            department  text  department
        """),
        key=("staff_id",),
    ),
    Table(
        "costs",
        "a cost that is not in a product's price",
        _columns("""
            kind!                text   campaign, contact, offer, gift, service, distribution, acquisition
            amount!              money  how much; of distribution for one order; of contact, offer, gift for one contact
            valid_from           time   since when
            campaign_id          id     for which campaign
            acquisition_channel  text   for an acquisition cost: the channel whose new customers it won
            claimed              money  the sales that its channel or campaign says it made
        """),
        time="valid_from",
    ),
    Table(
        "price_survey",
        "one person's four prices for a product, as Van Westendorp asks for them; they must rise",
        _columns("""
            product_id!     id     the product that was asked about
            too_cheap!      money  so cheap that its quality is in doubt
            cheap!          money  a bargain
            expensive!      money  dear, but still to be considered
            too_expensive!  money  too dear to be considered
            customer_id     id     who answered
            asked_at        time   when
        """),
        time="asked_at",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
