"""Reasons of a decision and the actions that follow from it."""

from __future__ import annotations

from agent.texts.text import Text, Texts

REASONS: Texts = {
    # why somebody may pass
    "code_green": Text("Valid green code.", "绿码有效。"),
    "temperature_normal": Text("Temperature is normal.", "体温正常。"),
    "certificate_valid": Text("Valid certificate.", "证明有效。"),
    "egress_free": Text("Leaving is always free.", "出口放行。"),
    "test_recent": Text("A recent negative test is on record.", "近期检测结果为阴性。"),
    # the code
    "no_code": Text("No code was shown.", "未出示码。"),
    "code_yellow": Text("The code is yellow.", "黄码。"),
    "code_red": Text("The code is red.", "红码。"),
    "code_expired": Text("The code has expired.", "该码已过期。"),
    "code_not_yet_valid": Text("The code is not valid yet.", "该码尚未生效。"),
    "time_unknown": Text(
        "This gate does not know the time well enough to accept the code.",
        "本机时间不准，无法判断该码是否过期。",
    ),
    "issuer_unknown": Text("The issuer of the code is not known here.", "本机不认识该码的发码机构。"),
    "signature_bad": Text("The code's signature is wrong: it may be forged.", "签名不符，该码可能是伪造的。"),
    "code_revoked": Text("The code has been revoked by its issuer.", "该码已被发码机构吊销。"),
    "code_malformed": Text("The code is damaged.", "该码内容损坏。"),
    "code_unrecognised": Text("This code is not known here.", "本机不识别此码。"),
    "code_incomplete": Text(
        "The code has several parts: show the others too.", "该码分为多张，请继续出示其余部分。"
    ),
    "code_undecided": Text("Nothing here says whether this code is good.", "本机没有该码的状态信息。"),
    "code_repeated": Text("This code was used here a moment ago.", "该码刚刚在此使用过。"),
    "certificate_only": Text("A certificate without a health colour.", "证明有效，但没有健康码颜色。"),
    "another_code": Text("Another code came before this one was decided.", "前一人尚未处理完，又出示了另一个码。"),
    "has_left": Text(
        "Left before the temperature was measured: please show the code again.",
        "测温完成前已离开，请重新出示您的码。",
    ),
    # tickets
    "ticket_valid": Text("Valid ticket.", "票证有效。"),
    "no_ticket": Text("This is not a ticket.", "这不是票证。"),
    "ticket_elsewhere": Text("This ticket is for another entrance or place.", "该票不适用于此入口或地点。"),
    "ticket_other_time": Text("This ticket is for another time.", "该票不在有效时间内。"),
    "ticket_other_service": Text("This ticket is for another service.", "该票不适用于本班次。"),
    "ticket_signature_only": Text(
        "Signed, but nothing here says that this ticket still counts: look at it.",
        "签名有效，但本机无法确认该票仍可使用：请查看该票。",
    ),
    "ticket_unclear": Text(
        "Nothing here says whether this ticket counts here and now.",
        "本机无法判断该票此时此地是否有效。",
    ),
    "ticket_used": Text("This ticket has been used already.", "该票已使用过。"),
    "ticket_use_unknown": Text(
        "This gate cannot tell whether another one has let this ticket in.",
        "本机无法得知该票是否已在其他闸机使用。",
    ),
    "ticket_use_lost": Text(
        "This gate has lost its list of used tickets: staff will look at yours.",
        "本机已用票证记录丢失，请工作人员核验该票。",
    ),
    "ticket_unrecorded": Text("The use of this ticket cannot be recorded here.", "本机无法记录该票的使用。"),
    "under_age": Text("Not known to be of age.", "未能确认已成年。"),
    # the temperature
    "fever": Text("The temperature is raised.", "体温偏高。"),
    "temperature_retest": Text("The temperature was not steady: once more, please.", "测温不稳定，请再测一次。"),
    "temperature_missing": Text("No temperature was measured.", "未测到体温。"),
    "thermometer_fault": Text("The thermometer does not work.", "测温设备故障。"),
    "scanner_fault": Text("The scanner does not work.", "扫码设备故障。"),
    "gate_fault": Text("The gate does not work.", "闸机故障。"),
    "lane_closed": Text("The staff have closed this lane.", "工作人员已关闭本通道。"),
    "staff_override": Text("Let in by a member of staff.", "由工作人员放行。"),
    "safe_mode": Text(
        "This gate lets nobody in by itself at the moment: please see a member of staff.",
        "本机暂停自动放行，请到人工处核验。",
    ),
    # tests, lists, watch
    "test_missing": Text("No recent test is on record.", "没有近期检测记录。"),
    "test_too_old": Text("The last test is too old.", "检测结果已超过有效时间。"),
    "test_positive": Text("The last test is not known to be negative.", "最近一次检测结果不能确认为阴性。"),
    "series_short": Text("Fewer tests than this place requires.", "检测次数不足。"),
    "watch_hit": Text("Please see a member of staff: check list.", "请到人工处核验（比对筛查）。"),
    "lists_stale": Text("This gate's lists are not quite up to date.", "本机名单不是最新的。"),
    "lists_too_old": Text("This gate's lists are too old to rely on.", "本机名单过旧，不能作为依据。"),
    # the venue
    "area_locked": Text("This area is closed: staff will look after you.", "本区域实行封控，请联系工作人员。"),
    "travel_risk": Text("The travel record shows a region of risk.", "行程记录显示风险地区。"),
    "mask_missing": Text("A mask is needed here.", "请佩戴口罩后再通行。"),
    "permit_missing": Text("No permit or booking for this place.", "未查到预约或通行凭证。"),
    "permit_early": Text("The booking is for a later time.", "未到预约时间。"),
    "permit_late": Text("The time of the booking is over.", "预约时间已过。"),
    "permit_used": Text("This permit has been used already.", "该凭证已使用。"),
    "permit_elsewhere": Text("This permit is for another place.", "该凭证不适用于本场所。"),
    "record_missing": Text(
        "Not on the list of this place: please sign the register.", "不在本场所名单内，请先登记。"
    ),
    "room_full": Text(
        "There is no room at the moment: one comes in when one leaves.",
        "人数已满，请等候（出一进一）。",
    ),
    "room_unknown": Text("How many are inside is not known: staff must count.", "场内人数未知，请工作人员清点。"),
    "vouched": Text("Staff have seen a document and recorded the person.", "工作人员已核验证件并登记。"),
    "drill": Text("This is an exercise: the gate stays shut.", "演练，不放行。"),
    # measures
    "fever_clinic": Text("Please go to the fever clinic: staff will show the way.", "请由工作人员引导至发热门诊。"),
    "wait_outside": Text("Please wait outside until somebody leaves.", "请在门外等候。"),
    "isolate": Text("Please wait in the separate area.", "请到临时隔离区等候。"),
    "retest": Text("Please stand closer and be measured again.", "请靠近测温处，重新测温。"),
    "staff_check": Text("A member of staff will look at it.", "请等候工作人员核验。"),
    "show_id": Text("Please show your identity document.", "请出示身份证件。"),
    "renew_code": Text("Please open the code again.", "请刷新您的码后再试。"),
    "take_test": Text("Please take a test.", "请尽快进行检测。"),
    "wear_mask": Text("Please wear a mask.", "请佩戴口罩。"),
    "register": Text("Please sign the register.", "请登记信息。"),
    "report": Text("Staff must report this to the health authority.", "工作人员须向卫生部门报告。"),
    "leave": Text("Please do not enter.", "请勿进入。"),
}
"""Why somebody may pass or not, and what to do about it."""
