"""What platforms and spreadsheets write, in many languages: states of orders, guests, goods that are none, currencies.

Words are held in lower case, without a platform's prefix; what is not listed here is unknown, and said to be so.
"""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir


def _any(words: str) -> str:
    """An alternative of words that are written apart by commas."""
    return "|".join(word.strip() for word in words.replace("\n", " ").split(","))


# An order in one of these states was never paid for, or is undone.
OUT = _any("""
    cancell?ed, void, voided, failed, failure, failed payment, error, payment error, declined, denied,
    rejected, refused, expired, trash, trashed, deleted, removed, draft, checkout draft, auto draft, abandoned,
    incomplete, fraud, fraudulent, reversed, timed out, timeout, invalid, test, storniert, stornierte?r?, storno,
    annulliert, abgebrochen, abgelehnt, fehlgeschlagen, gelöscht, entwurf, verfallen, annulée?, annulee?, annulation,
    échouée?, echouee?, refusée?, refusee?, expirée?, brouillon, abandonnée?, corbeille, cancelad[oa], anulad[oa],
    fallid[oa], rechazad[oa], caducad[oa], borrador, papelera, abandonad[oa], annullat[oa], fallit[oa], rifiutat[oa],
    scadut[oa], bozza, cestino, recusad[oa], expirad[oa], rascunho, lixeira, falhou, falhad[oa], geannuleerd, mislukt,
    geweigerd, verlopen, concept, prullenbak, anulowane?, anulowano, odrzucone?, nieudane?, wygasłe, szkic,
    zrušen[áoaý]?, zruseno, stornován[aoy]?, stornovan[oá], neúspěšn[áéýo], zrušená, törölve, törölt, lemondva,
    sikertelen, anulat[ăa]?, otkazan[ao]?, preklican[ao]?, annullerad, avbruten, avbeställd, avbokad, misslyckad,
    annulleret, afbrudt, kansellert, avbrutt, mislykket, peruutettu, peruttu, hylätty, tühistatud, atcelts,
    atšaukt[ao]s?, отмен[её]н[ао]?, аннулирован[ао]?, отклон[её]н[ао]?, скасовано, отказан[ао]?, ακυρώθηκε, ακυρωμένη,
    iptal, iptal edildi, başarısız, キャンセル, キャンセル済み, 取消, 已取消,
    취소, 취소됨, dibatalkan, batal, đã hủy, ยกเลิก
""")
# An order in one of these was paid, and given back in full where the shop does not say how much.
GIVEN_BACK = _any("""
    refunded, fully refunded, returned, chargeback, charged back, chargebacked, disputed lost, erstattet,
    rückerstattet, zurückerstattet, retourniert, remboursée?, remboursee?, retournée?, reembolsad[oa], devuelt[oa],
    rimborsat[oa], reso, devolvid[oa], terugbetaald, geretourneerd, retour, zwrócone?, vrácen[oaá]?, visszatérítve,
    återbetald, refunderet, refundert, tilbagebetalt, возврат, возвращ[её]н, iade, 返金済み
""")
# Sales, and what may yet become one: they count.
SALE = _any("""
    paid, partially paid, partly paid, completed?, complete, closed, done, delivered, fulfilled, partially fulfilled,
    shipped, partially shipped, partly shipped, dispatched, sent, invoiced, processed, settled, captured, succeeded,
    success, successful, approved, accepted, confirmed, ok, sold, finished, partly refunded, partially refunded,
    partial refund, partially returned, cancell?ed reversal, bezahlt, teilweise bezahlt, abgeschlossen, versendet,
    versandt, geliefert, erledigt, teilweise erstattet, payée?, payee?, terminée?, terminee?, expédiée?, livrée?,
    pagad[oa], completad[oa], enviad[oa], entregad[oa], pagat[oa], completat[oa], spedit[oa], consegnat[oa], pago,
    concluíd[oa], betaald, voltooid, verzonden, afgerond, opłacone?, zrealizowane?, wysłane?, zaplacen[oaá]?,
    dokončen[oaá]?, vyřízen[oaá]?, fizetve, teljesítve, betald, slutförd, betalt, fuldført, fullført, maksettu,
    valmis, оплачен[ао]?, выполнен[ао]?, ödendi, tamamlandı
""")
OPEN = _any("""
    pending, pending payment, awaiting payment, awaiting fulfillment, awaiting shipment, awaiting pickup, unpaid,
    open, new, created, placed, on hold, hold, holded, processing, in process, in progress, authorized, authorised,
    payment review, ready, preorder, pre order, backordered, cancell?ation requested, cancel requested, partially
    authorized, due, overdue, offen, neu, ausstehend, in bearbeitung, in wartestellung, unbezahlt, wartend, en
    attente, en cours, en attente de paiement, pendiente, en espera, procesando, in attesa, in lavorazione, pendente,
    em espera, processando, in afwachting, in behandeling, oczekujące, w realizacji, čeká na platbu, zpracovává se,
    függőben, feldolgozás alatt, väntande, behandlas, afventer, venter, odottaa, новый, ожидает, beklemede
""")
# What may stand before a word: 'order cancelled'.
_BEFORE = "(order |payment |bestellung |zahlung |commande |paiement |pedido |ordine |zamówienie )?"
_GUEST = _any(r"""
    0+([.]0+)?, -1, guests?, guest user, guest account, gast, gäste, invitée?, invitado, ospite, convidado, gość,
    host, vendég, anonymous, anonym, anonyme, anónimo, anonimo, walk-?in( customer)?, cash customer, laufkundschaft,
    n/?a, #n/a, [(]?none[)]?, [(]?null[)]?, [(]?nil[)]?, nan, [(]?unknown[)]?, unbekannt, inconnu, desconocido,
    undefined, not set, [(]not set[)], no customer, kein kunde, [(]?empty[)]?, [?]+, [-–—]+, \\n, <na>
""")
# Yes and no, as spreadsheets of other languages and tools that keep numbers write them.
_YES = "true|t|yes|y|1([.]0+)?|wahr|ja|vrai|oui|verdadero|vero|verdadeiro|sí|si|sì|sim|waar|prawda|tak|pravda|ano"
_NO = "false|f|no|n|0([.]0+)?|falsch|nein|faux|non|falso|onwaar|nee|fałsz|nie|nepravda|ne|não|nao"
# What says that somebody agreed, beyond doubt: 'active' and 'confirmed' may be said of an account.
_AGREED = _any("""
    subscribed, (double |single |confirmed |explicit )?opt(ed)?[ -]?in, optin, consented, consent given, granted,
    abonniert, abonnée?, inscrite?, suscrit[oa], iscritt[oa], subscrit[oa], ingeschreven
""")
_NOT_AGREED = _any("""
    (un|(not|non|never)[ -]?)subscribed, opt(ed)?[ -]?out, optout, cleaned, (hard |soft )?bounced?, pending, redacted,
    revoked, withdrawn, declined, denied, refused, complained, complaint, spam, invalid, suppressed, blacklisted,
    blocked, no consent, abgemeldet, désabonnée?, désinscrite?, disiscritt[oa], uitgeschreven
""")
_CHANNELS = {"email_consent": "e-?mails?( marketing)?|newsletters?", "sms_consent": "sms|text( messages)?",
             "ads_consent": "ads|adverts", "email_status": "e-?mails?"}  # fmt: skip
# By its name a column of who may not be written to.
_OPPOSITE = r"(?i)black|unsub|suppress|opt[ _-]?out|do[ _-]?not|dont|abgemeldet|d[ée]sabonn"
_NOT_GOODS = {
    "shipping": """
        post, postage, dotcom postage, carriage, delivery charge, delivery charges, delivery, shipping, shipping
        charge, shipping cost, shipping costs, shipping fee, shipping & handling, versand, versandkosten, porto, frais
        de port, livraison, gastos de envío, envío, spese di spedizione, spedizione, frete, verzendkosten, dostawa,
        wysyłka, poštovné, doprava, frakt, fragt, freight""",
    "fee": """
        manual, discount, rabatt, remise, adjust bad debt, adjustment, bank charges, amazonfee, amazon fee, cruk, cruk
        commission, fee, handling fee, service fee, payment fee, gift wrap fee, tip, tips, gratuity, trinkgeld,
        pourboire, propina, donation, surcharge, insurance, shipping insurance, shipping protection, package
        protection, route package protection""",
    "gift_card": """
        gift card, gift cards, giftcard, gift voucher, e-gift card, egift card, gutschein, geschenkgutschein, carte
        cadeau, tarjeta regalo, buono regalo, cadeaubon, vale-presente""",
}
NOT_GOODS = {word.strip(): kind for kind, words in _NOT_GOODS.items() for word in words.replace("\n", " ").split(",")}
# Codes that stand beside amounts, and signs; 'M' and 'K' are none, for they may mean a million and a thousand.
CURRENCIES = (
    r"(?:(?:AU|CA|US|NZ|HK|SG|R|A|C|S|NT|MX|RD)? ?[$]|[€£¥₹₽₺₩₪₫₴₦฿₱₡₲₵₸₼₾]"
    r"|AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HRK|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|MAD|MXN|MYR|NGN"
    r"|NOK|NZD|PEN|PHP|PKR|PLN|RON|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|EURO?S?|Euro|euro|eur"
    r"|RM|Rs[.]?|Rp[.]?|Fr[.]?|kr[.]?|Kr[.]?|Kč|zł|Ft|lei|лв[.]?|руб[.]?|TL|din[.]?|S/[.]?)"
)
MONTHS = (
    "JAN|ENE|GEN|STY|LED|ЯНВ", "FEB|FÉV|FEV|LUT|ÚNO|ФЕВ", "MAR|MÄR|MRZ|MRT|MAA|BŘE|МАР", "APR|AVR|ABR|KWI|DUB|АПР",
    "MAY|MAI|MAG|MEI|MAJ|KVĚ|МАЙ|МАЯ", "JUN|JUIN|GIU|CZE|ИЮН", "JUL|JUIL|LUG|LIP|ИЮЛ", "AUG|AOÛ|AOU|AGO|SIE|SRP|АВГ",
    "SEP|SET|WRZ|ZÁŘ|СЕН", "OCT|OKT|OTT|OUT|PAŹ|ŘÍJ|ОКТ", "NOV|LIS|НОЯ", "DEC|DEZ|DIC|DÉC|DES|GRU|PRO|ДЕК",
)  # fmt: skip

# Zones by the letters people write behind a time; IST, which is Indian, Irish and Israeli, is none of them.
ZONES = {
    "WEST": "+0100", "WET": "+0000", "BST": "+0100", "CEST": "+0200", "CET": "+0100", "MESZ": "+0200", "MEZ": "+0100",
    "EEST": "+0300", "EET": "+0200", "MSK": "+0300", "EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
    "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "AKST": "-0900", "AKDT": "-0800", "HST": "-1000",
    "JST": "+0900", "KST": "+0900", "HKT": "+0800", "SGT": "+0800", "AEST": "+1000", "AEDT": "+1100", "NZST": "+1200",
    "NZDT": "+1300",
}  # fmt: skip


def state(status: str) -> str:
    """What the status of an order says: 'out', 'given_back', 'sale', 'open', or 'unknown'.

    A platform's prefix, underscores and case make no difference; for the first two a word it begins with counts.

    >>> state("wc-cancelled"), state("Canceled - fraud"), state("annulé"), state("PARTIALLY_PAID"), state("5")
    ('out', 'out', 'out', 'sale', 'unknown')
    """
    plain = re.sub(r"[-_./,:()\s]+", " ", re.sub(r"^wc[-_]", "", status.strip().lower())).strip()
    kinds = (("out", OUT), ("given_back", GIVEN_BACK), ("sale", SALE), ("open", OPEN))
    whole = (kind for kind, words in kinds if re.fullmatch(words, plain))
    begun = (kind for kind, words in kinds[:2] if re.match(f"{_BEFORE}({words})(?!\\w)", plain))
    return next(whole, "") or next(begun, "unknown")


def opposite(column: str) -> bool:
    """Does a column, by its name, say who may not be written to?

    >>> opposite("EMAIL_BLACKLISTED"), opposite("Accepts Email Marketing")
    (True, False)
    """
    return re.search(_OPPOSITE, column) is not None


def yes_or_no(text: ir.StringValue, column: str) -> ir.BooleanValue:
    """What a text in small letters says, null where that is not beyond doubt; of consent only what is of its channel.

    Consent may be written as 'subscribed', as 'yes, email', or as a list of channels such as ["email"].
    """
    plain = text.re_replace("_", " ")
    tests = [(plain.re_search(f"^({_YES})$"), True), (plain.re_search(f"^({_NO})$"), False)]
    if channel := _CHANNELS.get(column):
        tests += [
            (plain.re_search(f"^({_YES})[ ,;:/()-]+(via )?({channel})[)]?$"), True),
            (plain.re_search(rf'^\[(".*", *)?"({channel})"(, *".*")?\]$'), True),
            (plain.re_search(f"^({_AGREED})$"), True), (plain.re_search(f"^({_NOT_AGREED})$"), False),
        ]  # fmt: skip
    return ibis.cases(*tests, else_=ibis.null("boolean"))


def is_guest(customer: ir.StringValue) -> ir.BooleanValue:
    """Is this what a shop writes where there is no customer?"""
    return customer.lower().re_search(f"^({_GUEST})$")
