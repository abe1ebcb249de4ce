"""What each reason and measure says to people, in English and Chinese: the only place where it is written."""

from __future__ import annotations

LANGUAGES = ("en", "zh")

SENTENCES: dict[str, tuple[str, str]] = {
    # why somebody may pass
    "code_green": ("Valid green code.", "绿码有效。"),
    "temperature_normal": ("Temperature is normal.", "体温正常。"),
    "certificate_valid": ("Valid certificate.", "证明有效。"),
    "egress_free": ("Leaving is always free.", "出口放行。"),
    "test_recent": ("A recent negative test is on record.", "近期检测结果为阴性。"),
    # the code
    "no_code": ("No code was shown.", "未出示健康码。"),
    "code_yellow": ("The code is yellow.", "黄码。"),
    "code_red": ("The code is red.", "红码。"),
    "code_expired": ("The code has expired.", "健康码已过期。"),
    "code_not_yet_valid": ("The code is not valid yet.", "健康码尚未生效。"),
    "time_unknown": (
        "This gate does not know the time well enough to accept the code.",
        "本机时间不准，无法判断健康码是否过期。",
    ),
    "issuer_unknown": ("The issuer of the code is not known here.", "本机不认识该码的发码机构。"),
    "signature_bad": ("The code's signature is wrong: it may be forged.", "签名不符，可能是伪造的健康码。"),
    "code_revoked": ("The code has been revoked by its issuer.", "该码已被发码机构吊销。"),
    "code_malformed": ("The code is damaged.", "健康码内容损坏。"),
    "code_unrecognised": ("This is not a health code.", "这不是健康码。"),
    "code_incomplete": ("The code has several parts: show the others too.", "该码分为多张，请继续出示其余部分。"),
    "code_undecided": ("Nothing here says whether this code is good.", "本机没有该码的状态信息。"),
    "code_repeated": ("This code was used here a moment ago.", "该码刚刚在此使用过。"),
    "certificate_only": ("A certificate without a health colour.", "证明有效，但没有健康码颜色。"),
    "another_code": ("Another code came before this one was decided.", "前一人尚未处理完，又出示了另一个码。"),
    "has_left": (
        "Left before the temperature was measured: please show the code again.",
        "测温完成前已离开，请重新出示健康码。",
    ),
    # tickets
    "ticket_valid": ("Valid ticket.", "票证有效。"),
    "no_ticket": ("This is not a ticket.", "这不是票证。"),
    "ticket_elsewhere": ("This ticket is for another entrance or place.", "该票不适用于此入口或地点。"),
    "ticket_other_time": ("This ticket is for another time.", "该票不在有效时间内。"),
    "ticket_other_service": ("This ticket is for another service.", "该票不适用于本班次。"),
    "ticket_unclear": (
        "Nothing here says whether this ticket counts here and now.",
        "本机无法判断该票此时此地是否有效。",
    ),
    "ticket_used": ("This ticket has been used already.", "该票已使用过。"),
    "ticket_use_unknown": (
        "This gate cannot tell whether another one has let this ticket in.",
        "本机无法得知该票是否已在其他闸机使用。",
    ),
    "ticket_unrecorded": ("The use of this ticket cannot be recorded here.", "本机无法记录该票的使用。"),
    "under_age": ("Not known to be of age.", "未能确认已成年。"),
    # the temperature
    "fever": ("The temperature is raised.", "体温偏高。"),
    "temperature_retest": ("The temperature was not steady: once more, please.", "测温不稳定，请再测一次。"),
    "temperature_missing": ("No temperature was measured.", "未测到体温。"),
    "thermometer_fault": ("The thermometer does not work.", "测温设备故障。"),
    "scanner_fault": ("The scanner does not work.", "扫码设备故障。"),
    "gate_fault": ("The gate does not work.", "闸机故障。"),
    "safe_mode": (
        "This gate lets nobody in by itself at the moment: please see a member of staff.",
        "本机暂停自动放行，请到人工处核验。",
    ),
    # tests, lists, watch
    "test_missing": ("No recent test is on record.", "没有近期检测记录。"),
    "test_too_old": ("The last test is too old.", "检测结果已超过有效时间。"),
    "test_positive": ("The last test is not known to be negative.", "最近一次检测结果不能确认为阴性。"),
    "series_short": ("Fewer tests than this place requires.", "检测次数不足。"),
    "watch_hit": ("Please see a member of staff: check list.", "请到人工处核验（比对筛查）。"),
    "lists_stale": ("This gate's lists are not quite up to date.", "本机名单不是最新的。"),
    "lists_too_old": ("This gate's lists are too old to rely on.", "本机名单过旧，不能作为依据。"),
    # the venue
    "area_locked": ("This area is closed: staff will look after you.", "本区域实行封控，请联系工作人员。"),
    "travel_risk": ("The travel record shows a region of risk.", "行程记录显示风险地区。"),
    "mask_missing": ("A mask is needed here.", "请佩戴口罩后再通行。"),
    "permit_missing": ("No permit or booking for this place.", "未查到预约或通行凭证。"),
    "permit_early": ("The booking is for a later time.", "未到预约时间。"),
    "permit_late": ("The time of the booking is over.", "预约时间已过。"),
    "permit_used": ("This permit has been used already.", "该凭证已使用。"),
    "permit_elsewhere": ("This permit is for another place.", "该凭证不适用于本场所。"),
    "record_missing": ("Not on the list of this place: please sign the register.", "不在本场所名单内，请先登记。"),
    "room_full": (
        "There is no room at the moment: one comes in when one leaves.",
        "人数已满，请等候（出一进一）。",
    ),
    "room_unknown": ("How many are inside is not known: staff must count.", "场内人数未知，请工作人员清点。"),
    "vouched": ("Staff have seen a document and recorded the person.", "工作人员已核验证件并登记。"),
    "drill": ("This is an exercise: the gate stays shut.", "演练，不放行。"),
    # measures
    "fever_clinic": ("Please go to the fever clinic: staff will show the way.", "请由工作人员引导至发热门诊。"),
    "wait_outside": ("Please wait outside until somebody leaves.", "请在门外等候。"),
    "isolate": ("Please wait in the separate area.", "请到临时隔离区等候。"),
    "retest": ("Please stand closer and be measured again.", "请靠近测温处，重新测温。"),
    "staff_check": ("A member of staff will look at it.", "请等候工作人员核验。"),
    "show_id": ("Please show your identity document.", "请出示身份证件。"),
    "renew_code": ("Please open the code anew.", "请刷新健康码后再试。"),
    "take_test": ("Please take a test.", "请尽快进行检测。"),
    "wear_mask": ("Please wear a mask.", "请佩戴口罩。"),
    "register": ("Please sign the register.", "请登记信息。"),
    "report": ("Staff must report this to the health authority.", "工作人员须向卫生部门报告。"),
    "leave": ("Please do not enter.", "请勿进入。"),
}
"""Code → (English, Chinese)."""


def sentence(code: str, language: str = "en") -> str:
    """What the code says; an unknown code stands for itself, so that nothing is hidden."""
    texts = SENTENCES.get(code)
    return texts[LANGUAGES.index(language)] if texts is not None and language in LANGUAGES else code
