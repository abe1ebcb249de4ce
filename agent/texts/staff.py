"""Words of the guard's page: what staff are told, asked and refused."""

from __future__ import annotations

from agent.texts.text import Text, Texts

REFUSALS: Texts = {
    # access
    "pairing_over": Text("The code on the screen has expired: start again.", "屏上的二维码已失效，请重新开始。"),
    "pairing_wrong": Text("That is not the number on the screen.", "与屏上数字不符。"),
    "no_screen": Text(
        "No lane's screen works here: a technician connects the device (gatepost staff pair).",
        "没有可用的通道屏幕，请技术人员连接此设备。",
    ),
    "too_many_devices": Text("Too many devices are connected.", "已连接的设备过多。"),
    "not_paired": Text("This device is not connected with the kiosk.", "此设备尚未与本机连接。"),
    "pin_first": Text(
        "Log in by PIN here first: from then on a badge counts too.", "请先在此设备上用密码登录，之后可用工牌。"
    ),
    "no_staff_list": Text("There is no valid list of staff here.", "本机没有有效的工作人员名单。"),
    "login_wrong": Text("Number or PIN is wrong.", "编号或密码不对。"),
    "login_closed": Text("Too many wrong PINs: wait a minute.", "密码错误次数过多，请稍候。"),
    "not_logged_in": Text("Please log in.", "请登录。"),
    "locked": Text("Locked after five minutes: give your PIN.", "已锁定，请输入密码。"),
    "not_allowed": Text("Your role may not do this.", "您的岗位无权进行此操作。"),
    "time_unknown": Text(
        "The time is not known: the list of staff may have ended. Let nobody in by this page.",
        "时间未知，工作人员名单可能已失效，请勿通过本页面放行。",
    ),
    "not_on_duty": Text("Show your badge at an entry first: then you take over.", "请先在入口出示工牌，再接班。"),
    "second_needed": Text("A second person must confirm this.", "需要第二人确认。"),
    "badge_awaited": Text("Show your badge at an entry's scanner.", "请在入口扫码口出示工牌。"),
    "too_late": Text("The page is too old for this: look again.", "页面已过时，请再看一眼。"),
    "repeated": Text("This was done already.", "此操作已完成。"),
    "not_kept": Text("The disk does not take it: it is not done.", "无法保存，操作未生效。"),
    "closed_not_kept": Text(
        "The lane is closed. The disk does not take it: after a restart it is open.",
        "通道已关闭，但无法保存：重启后将恢复开放。",
    ),
    # actions
    "no_such_lane": Text("There is no such lane.", "没有此通道。"),
    "no_candidate": Text("Nobody waits here any more.", "此处已无人等候。"),
    "ambiguous_person": Text("Several people wait: choose one.", "有多人等候，请选择其中一人。"),
    "no_such_number": Text("This person does not wait any more.", "此人已不在等候。"),
    "not_referred": Text("The rules refuse: staff cannot let in.", "规则不予放行，工作人员不能放行。"),
    "invariant": Text("Nobody may let this person in.", "任何人都不能放行此人。"),
    "card_changed": Text("The card has changed: read it again.", "内容已变化，请重新查看。"),
    "exits_shut": Text("Not open. Open by hand:", "未打开，请人工打开："),
    "gate_down": Text("The gate does not work.", "闸机故障。"),
    "lane_busy": Text("Somebody is being decided: wait a moment.", "正在处理他人，请稍候。"),
    "busy": Text("Somebody else uses the sensors.", "传感器正被他人使用。"),
    "just_closed": Text("This lane was closed a moment ago.", "此通道刚刚关闭。"),
    "lane_closed": Text("The lane is closed: reopen it first.", "通道已关闭，请先开放。"),
    "people_wait": Text("Somebody waits here: settle that first.", "有人等候，请先处理。"),
    "out_of_range": Text("That is no temperature of a body.", "体温数值不合理。"),
    "timed_out": Text("Not in time: try again.", "未能及时处理，请重试。"),
    "expired": Text("Somebody has counted since: count again.", "之后已有人清点或数据有变，请重新清点。"),
    "timeout": Text("The kiosk does not answer.", "本机没有响应。"),
    "bad_arguments": Text("Something is missing or wrong.", "内容缺失或有误。"),
    "no_venue": Text("This kiosk serves no venue.", "本机未配置场所。"),
    "no_person": Text("Nobody is there to be measured again.", "无人需要重新测温。"),
    "unknown_type": Text("This cannot be stated here.", "此处不能登记此项。"),
    "bad_value": Text("Something is missing or does not fit.", "内容缺失或不符合要求。"),
    "no_such_case": Text("There is no such case.", "没有此事件。"),
    "case_closed": Text("The case is closed already.", "该事件已办结。"),
    "no_roster": Text("There is no roster here.", "本机没有名册。"),
    "no_such_group": Text("There is no such group.", "没有此班组。"),
    "no_such_form": Text("There is no such form.", "没有此登记表。"),
    "no_sealing_key": Text("Nothing private can be kept here: use paper.", "本机不能保存个人信息，请用纸质登记。"),
}
"""Why the agent does not do what a page asks."""

GUARD_REASONS: Texts = {
    "watch_hit": Text("On a watch list: follow the case.", "重点人员：请处置事件。"),
}
"""What a guard reads where the person's own sentence tells less."""

CHANGES: Texts = {
    "mask": Text("A mask would change this.", "佩戴口罩即可改变结果。"),
    "record": Text("A record in the register would change this.", "完成登记即可改变结果。"),
    "travel": Text("A travel record without risk would change this.", "行程无风险即可改变结果。"),
    "temperature": Text("A normal temperature would change this.", "体温正常即可改变结果。"),
    "code": Text("A valid green code would change this.", "出示有效绿码即可改变结果。"),
    "permit": Text("A permit for now would change this.", "持有效凭证即可改变结果。"),
    "room": Text("Room inside would change this.", "场内有空位即可改变结果。"),
    "test": Text("A recent test would change this.", "近期检测结果即可改变结果。"),
    "test_series": Text("The missing tests would change this.", "补足检测次数即可改变结果。"),
    "list_age": Text("Fresh lists would change this.", "更新名单即可改变结果。"),
    "passback": Text("A code that was not just used would change this.", "使用未刚用过的码即可改变结果。"),
    "other": Text("Another fact would change this: see the policy.", "其他条件可改变结果，详见规则。"),
    "nothing": Text("No single fact would change this.", "改变任何一项都不能放行。"),
}
"""The one fact that would let a waiting person in."""

MEASURES: Texts = {
    "retest": Text("Measure again", "重新测温"),
    "temperature": Text("Enter temperature", "输入体温"),
    "mask": Text("Mask is worn", "已戴口罩"),
    "visitor": Text("Visitor form", "访客登记"),
    "document": Text("Document seen", "已验证件"),
    "travel": Text("Travel record is clear", "行程无风险"),
    "case": Text("Follow the case", "处置事件"),
    "paper": Text("Written on paper", "已纸质登记"),
    "left": Text("Has left", "已离开"),
    "override": Text("Let in: hold", "放行（按住）"),
    "count": Text("Count people", "清点人数"),
}
"""What a guard can do about a waiting person."""

OVERRIDE_REASONS: Texts = {
    "document": Text("Documents checked", "已核验证件"),
    "known": Text("Known person", "认识此人"),
    "device": Text("A device is faulty", "设备故障"),
    "medical": Text("Medical reason", "就医需要"),
    "emergency": Text("Emergency", "紧急情况"),
    "other": Text("Other: in words", "其他（请说明）"),
}
"""Why somebody is let in whom the rules leave to the staff, or a gate is opened."""

STEPS: Texts = {
    "received": Text("Received", "已接收"),
    "compared": Text("Compared with ID", "已比对证件"),
    "checked": Text("Checked on the spot", "已现场排查"),
    "answered": Text("Answered", "已反馈"),
}
"""Steps of a case (推送—比对—排查—反馈); the last closes it."""

FEEDBACKS: Texts = {
    "cleared": Text("Cleared", "排除"),
    "sent_home": Text("Sent home", "劝返"),
    "isolated": Text("Isolated", "隔离"),
    "fever_clinic": Text("To the fever clinic", "转发热门诊"),
    "handed_over": Text("Handed over", "已移交"),
}

KINDS: Texts = {
    "watch_hit": Text("Watch list", "重点人员"),
    "red": Text("Red code", "红码"),
    "fever": Text("Fever", "发热"),
    "positive": Text("Positive test", "检测阳性"),
    "zone_locked": Text("Locked area", "封控区"),
}
"""Kinds of cases."""

ABSENCES: Texts = {
    "ill": Text("Ill", "生病"),
    "leave": Text("Leave", "请假"),
    "travel": Text("Travel", "外出"),
    "quarantine": Text("Quarantine", "隔离"),
    "other": Text("Other", "其他"),
}
"""Why somebody of the roster has not come."""

SYMPTOMS: Texts = {
    "fever": Text("Fever", "发热"),
    "cough": Text("Cough", "咳嗽"),
    "rash": Text("Rash", "皮疹"),
    "diarrhoea": Text("Diarrhoea", "腹泻"),
    "vomiting": Text("Vomiting", "呕吐"),
    "red_eyes": Text("Red eyes", "红眼"),
    "swollen_cheeks": Text("Swollen cheeks", "腮腺肿大"),
    "other": Text("Other", "其他"),
}

ROUND_STATES: Texts = {
    "later": Text("to come", "未开始"),
    "open": Text("going on", "进行中"),
    "reported": Text("reported", "已上报"),
}

ROLES: Texts = {
    "guard": Text("guard", "门卫"),
    "supervisor": Text("supervisor", "主管"),
    "technician": Text("technician", "技术员"),
}
"""Of staff."""
