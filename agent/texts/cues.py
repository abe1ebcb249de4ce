"""What a lane tells the person who stands at it: label of each cue, and of each public hint."""

from __future__ import annotations

from agent.texts.text import Text, Texts

CUES: Texts = {
    "ready": Text("Please show your code.", "请出示您的码。"),
    "measure": Text("Code read. Please step up to the thermometer.", "已读码，请靠近测温。"),
    "wait": Text("Measuring: please stand still.", "正在测温，请站稳。"),
    "again": Text("Once more, please.", "请再来一次。"),
    "admit": Text("Please go through.", "请通行。"),
    "admit_with_notice": Text("Please go through, then see the staff.", "请通行，并听工作人员提示。"),
    "refer": Text("Please wait for the staff.", "请等候工作人员。"),
    "refuse": Text("Please do not enter.", "请勿进入。"),
    "fault": Text("Out of service: please see the staff.", "设备故障，请找工作人员。"),
}
"""One label per cue."""

PICTURES: Texts = {
    "starting": Text("Starting. Please wait a moment.", "正在启动，请稍候。"),
    "closed": Text("This lane is closed. Please use another.", "本通道已关闭，请走其他通道。"),
    "full": Text("The place is full. Please wait here.", "场内已满，请在此等候。"),
    "another_card": Text("One more card, please.", "请出示下一张。"),
    "once_more": Text("Please show your code once more.", "请再次出示您的码。"),
    "rest": Text("Please rest in the shade.", "请在阴凉处休息。"),
    "pair": Text("Staff: connect this device.", "工作人员：请连接此设备。"),
}
"""Pictures of the person's screen that are no cue of their own."""

HINTS: Texts = {
    "no_code": Text("No code was shown.", "未出示码。"),
    "code_expired": Text("The code has expired.", "该码已过期。"),
    "renew_code": Text("Please open the code again.", "请刷新您的码。"),
    "code_malformed": Text("The code is damaged.", "该码内容损坏。"),
    "code_unrecognised": Text("This code is not known here.", "本机不识别此码。"),
    "temperature_missing": Text("No temperature was measured.", "未测到体温。"),
    "another_code": Text("One person at a time, please.", "请逐人通过。"),
    "has_left": Text("Please show the code again.", "请重新出示您的码。"),
    "wear_mask": Text("Please wear a mask.", "请佩戴口罩。"),
    "show_id": Text("Please have your ID ready.", "请准备身份证件。"),
    "register": Text("Please sign the register.", "请登记信息。"),
    "time_unknown": Text("The time is not known here.", "本机时间不准。"),
    "scanner_fault": Text("The scanner does not work.", "扫码设备故障。"),
    "thermometer_fault": Text("The thermometer does not work.", "测温设备故障。"),
    "gate_fault": Text("The gate does not work.", "闸机故障。"),
    "safe_mode": Text("The staff decide here now.", "目前由人工放行。"),
}
"""The closed list of what the queue may read beside a cue: nothing here tells of a person's health."""
