"""What WhatsApp writes in a person's name: media that is not there, deleted, edited, calls."""

from __future__ import annotations

import re

# iOS begins each of its own texts with it, whatever the language.
_IOS_NOTICE = "\u200e"
# Marks that WhatsApp adds around names and numbers inside a message. U+200F and the joiners
# stay: people's own languages and emoji need them.
_ADDED = re.compile("[\u200e\u202a\u202c\u2066-\u2069]")
_LEFT_OUT = (
    "omitted|omitid|omiss|omess|omis\\b|oculta|ausgeschlossen|weggelassen|weggelaten|udelad|"
    "utelämna|utelatt|pominięt|vynechan|пропущен|без медиа|dahil edilmedi|disertakan|kihagyva|"
    "省略|忽略|생략|제외|استبعاد|הושמט|bỏ qua"
)
_ATTACHED = "attached:|angehängt:|adjunto:|anexado:|allegato:|pièce jointe|bijgevoegd:|вложение:"
_THING = "image|photo|video|video note|audio|GIF|sticker|document|contact card"
_MEDIA = re.compile(
    rf"<[^<>]{{0,40}}(?:{_LEFT_OUT})[^<>]{{0,40}}>|<(?:{_ATTACHED})[^<>]{{1,200}}>"
    # On Android a file's name and, in brackets, that it is attached.
    rf"|[^\n()]{{1,200}}\.\w{{2,4}} \([^()\n]{{4,40}}\)|(?:.{{1,200}} )?(?:{_THING}) omitted",
    re.IGNORECASE,
)
_DELETED = re.compile(
    "This message was deleted|You deleted this message|"
    "Diese Nachricht wurde gelöscht|Du hast diese Nachricht gelöscht|"
    "Se eliminó este mensaje|Eliminaste este mensaje|Mensagem apagada|Você apagou esta mensagem|"
    "Ce message a été supprimé|Vous avez supprimé ce message|"
    "Questo messaggio è stato eliminato|Hai eliminato questo messaggio|"
    "Dit bericht is verwijderd|U hebt dit bericht verwijderd|"
    "Данное сообщение удалено|Вы удалили данное сообщение",
    re.IGNORECASE,
)
# `null`: a picture to be seen once.
_NOTICE = re.compile(
    r"Messages and calls are end-to-end encrypted.*|Messages to this (?:chat|group) .*|"
    r"Missed (?:group )?(?:voice|video) call.*|Waiting for this message.*|null",
    re.DOTALL,
)
_EDITED = (
    "This message was edited|Diese Nachricht wurde bearbeitet|Se editó este mensaje|"
    "Mensagem editada|Ce message a été modifié|Questo messaggio è stato modificato|"
    "Dit bericht is bewerkt|Сообщение изменено"
)
_SUFFIX = re.compile(rf"(?:<(?:{_EDITED})\.?>|\u200e<[^<>\n]{{1,200}}>)\Z", re.IGNORECASE)


def without_notices(text: str) -> tuple[str, str, str]:
    """What the person wrote, what else stood there, and a short name for that.

    The last two are empty when nothing but the mark of an edited message was taken away. A
    picture's caption is kept.
    """
    first, _, rest = text.partition("\n")
    if _MEDIA.fullmatch(_bare(first)):
        return _bare(_SUFFIX.sub("", rest.rstrip())), _bare(first), "media"
    whole = _bare(text)
    if _DELETED.fullmatch(whole.rstrip(".")):
        return "", whole, "deleted message"
    if text.startswith(_IOS_NOTICE) or _NOTICE.fullmatch(whole):
        return "", whole, "system line"
    kept = _bare(_SUFFIX.sub("", text.rstrip()))
    return kept, "", "" if kept else "message without text"


def _bare(text: str) -> str:
    return _ADDED.sub("", text).strip()
