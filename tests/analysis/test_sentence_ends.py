"""Sentences end in every script, and those of Latin script where they always did."""

from __future__ import annotations

import re
from random import Random

import pytest

from cpart_core.analysis.coherence.prompts import sentences
from cpart_core.analysis.text.sentence_ends import is_whole, parts

SPOKEN = {
    "Japanese": (
        "海はとても静かだった。船は港を出て、北へ向かった。"
        "「明日は晴れるだろうか？」と船長が聞いた。誰も答えなかった！"
    ),
    "Chinese": (
        "海面非常平静，没有一点风。船离开了港口，慢慢向北航行。"
        "船长问大家：“明天会是晴天吗？”没有人回答他的问题！"
    ),
    "Hindi": (
        "समुद्र बहुत शांत था। जहाज़ बंदरगाह से निकलकर उत्तर की ओर गया। क्या कल धूप निकलेगी? किसी ने"
        " भी उत्तर नहीं दिया।"
    ),
    "Urdu": (
        "سمندر بہت پرسکون تھا۔ جہاز بندرگاہ سے نکل کر شمال کی طرف گیا۔ کیا کل دھوپ نکلے گی؟ کسی نے"
        " کوئی جواب نہیں دیا۔"
    ),
    "Arabic": (
        "كان البحر هادئا جدا. غادرت السفينة الميناء نحو الشمال. هل ستشرق الشمس غدا؟ لم يجب أحد عن"
        " سؤاله."
    ),
    "Thai": ("ทะเลสงบมากในเช้าวันนั้น เรือออกจากท่าไปทางเหนือ พรุ่งนี้ฟ้าจะใสหรือไม่ ไม่มีใครตอบคำถามของกัปตัน"),
    "Lao": "ທະເລງຽບສະຫງົບຫຼາຍໃນເຊົ້ານັ້ນ ເຮືອອອກຈາກທ່າໄປທາງເໜືອ ມື້ອື່ນຟ້າຈະແຈ້ງຫຼືບໍ່",
    "Burmese": ("ပင်လယ်သည် အလွန်ငြိမ်သက်နေသည်။ သင်္ဘောသည် ဆိပ်ကမ်းမှ ထွက်ခွာသွားသည်။ မည်သူမျှ မဖြေခဲ့ပါ။"),
    "Khmer": "សមុទ្រស្ងប់ស្ងាត់ណាស់នៅព្រឹកនោះ។ នាវាបានចាកចេញពីកំពង់ផែ។ គ្មាននរណាម្នាក់ឆ្លើយទេ។",
    "Amharic": "ባሕሩ በጣም ጸጥ ያለ ነበር ያን ጠዋት። መርከቡ ወደቡን ለቆ ወደ ሰሜን ሄደ። ማንም ሰው አልመለሰለትም።",
    "Armenian": (
        "Ծովը շատ հանգիստ էր այդ առավոտ։ Նավը դուրս եկավ նավահանգստից։ Ոչ ոք չպատասխանեց նրան։"
    ),
    "Tibetan": "རྒྱ་མཚོ་ཧ་ཅང་ཞི་འཇགས་ཡིན། གྲུ་གཟིངས་བྱང་ཕྱོགས་སུ་སོང་། སུས་ཀྱང་ལན་མ་བཏབ།",
    "Greek": (
        "Η θάλασσα ήταν πολύ ήρεμη. Το πλοίο έφυγε για τον βορρά; Κανείς δεν απάντησε στον"
        " καπετάνιο."
    ),
}


@pytest.mark.parametrize("language", SPOKEN)
def test_a_text_of_a_few_sentences_has_pairs(language):
    text = SPOKEN[language]
    found = sentences(text)
    assert len(found) >= 3 and text.startswith("".join(found))
    assert all(piece.strip() for piece in found)


def test_a_quote_belongs_to_its_sentence_and_a_cut_one_is_not_whole():
    assert parts("「行こう。」と言った。\n次。") == ["「行こう。」", "と言った。\n", "次。"]
    assert (
        is_whole("था। ")
        and is_whole("吗？”")
        and is_whole("so.")
        and not is_whole("तो भी")
        and not is_whole("3.5")
    )


def test_latin_text_is_cut_where_it_always_was():
    random, old = Random(0), re.compile(r"(?<=[.!?;:])(?=[ \t])|(?<=\n)")
    for _ in range(3000):
        text = "".join(random.choices("ab3 .!?;:\n\t,'\")é", k=40))
        assert [piece for piece in parts(text) if piece] == [
            piece for piece in re.split(old, text) if piece
        ]
