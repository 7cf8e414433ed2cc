"""Personal data that is known by its digits: cards, accounts, telephones, IP addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

_BLOCK_CHARACTERS = 500
_IBAN_LENGTHS: dict[bytes, int] = {
    country: int(length)
    for country, length in re.findall(
        rb"([A-Z]{2})(\d\d)",
        b"AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 "
        b"DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 "
        b"IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 "
        b"MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 "
        b"SK24 SM27 ST25 SV28 TN24 TR26 UA29 VA22 VG24 XK20",
    )
}
# First digits and lengths: Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay.
_CARD = re.compile(
    rb"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
    rb"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|62\d{14}"
)


def find_numbers(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of what is known by its digits.

    Patterns see only the lines on which digits stand together.
    """
    places = _places(data)
    if not len(places):
        return
    # Lines near each other are one block: a page of numbers costs little more than prose.
    gaps = np.flatnonzero(np.diff(places) > _BLOCK_CHARACTERS)
    firsts, lasts = [places[0], *places[gaps + 1]], [*places[gaps], places[-1]]
    done = 0
    for first, last in zip(firsts, lasts, strict=True):
        if last < done:
            continue
        start = data.rfind(b"\n", done, first) + 1 or done
        end = data.find(b"\n", last)
        done = len(data) if end < 0 else end
        block = bytearray(data[start:done])
        for kind, pattern, is_real in _NUMBER_RULES:
            spans = [match.span() for match in pattern.finditer(block) if is_real(match.group())]
            for begin, stop in spans:
                block[begin:stop] = b"#" * (stop - begin)
                yield kind, start + begin, start + stop


def _places(data: bytes) -> npt.NDArray[np.int64]:
    """Offsets of 5 digits within 13 characters, and of digits between letters.

    Every kind of number has the former (`10.0.0.1`, `06 12 34 56 78`), every token the latter.
    """
    codes = np.frombuffer(data, np.uint8)
    digits = np.flatnonzero((codes - ord("0")) < 10)
    if len(digits) < 5:
        return digits[:0]
    dense = digits[:-4][digits[4:] - digits[:-4] < 13]
    inner = digits[(digits > 0) & (digits < len(codes) - 1)]
    lettered = _is_letter(codes[inner - 1]) & _is_letter(codes[inner + 1])
    return np.sort(np.concatenate((dense, inner[lettered])))


def _is_letter(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return ((codes | 32) - ord("a")) < 26


def _is_iban(found: bytes) -> bool:
    number = found.replace(b" ", b"")[: _IBAN_LENGTHS.get(found[:2], 0)]
    if len(number) != _IBAN_LENGTHS.get(found[:2]):
        return False
    return int("".join(str(int(chr(code), 36)) for code in number[4:] + number[:4])) % 97 == 1


def _is_card(found: bytes) -> bool:
    digits = re.sub(rb"[ -]", b"", found)
    if not _CARD.fullmatch(digits):
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    doubled = sum(sum(divmod(2 * (code - 48), 10)) for code in even)
    return (doubled + sum(code - 48 for code in odd)) % 10 == 0


def _is_ip_address(found: bytes) -> bool:
    """Four octets, of which one has two digits: `1.2.3.4` is a version or a section."""
    octets = found.split(b".")
    return all(int(octet) < 256 for octet in octets) and any(int(octet) > 9 for octet in octets)


# In this order: what one rule has found, the next ones do not see.
_NUMBER_RULES: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], bool]], ...] = tuple(
    (kind, re.compile(pattern), is_real)
    for kind, pattern, is_real in (
        ("Discord token", rb"(?<![\w-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,38}", bool),
        ("IBAN", rb"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}", _is_iban),
        (
            "payment card",
            rb"(?<![\w.-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}"
            rb"|\d{4}([ -])\d{6}\2\d{4,5})(?!\w)",
            _is_card,
        ),
        (
            "US social security number",
            rb"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])",
            bool,
        ),
        (
            "IP address",
            rb"(?<![\w.-])(?<!version )(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})"
            rb"(?!\w|[.-]\d)",
            _is_ip_address,
        ),
        (
            "phone number",
            # +49 30 123456; (555) 123-4567; 06 12 34 56 78; 020 7946 0958, 030/123456.
            rb"(?<![\w.+/-])(?:\+[1-9](?:[ ().-]{0,2}\d){7,14}"
            rb"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])\d{3}[.-]\d{4}"
            rb"|0[1-9](?:[ .]\d\d){4}"
            rb"|(?:0[1-9]\d{1,3}|\(0[1-9]\d{1,3}\))(?:[ -]\d{3,4}[ -]\d{3,4}|[ /]\d{6,8}))"
            rb"(?!\w|[.-]\d)",
            bool,
        ),
    )
)
