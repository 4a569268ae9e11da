"""The words of the drawings in Chinese."""
# ruff: noqa: RUF001

import re

WORDS = {
    "input": "输入",
    "output": "输出",
    "kernel": "卷积核",
    "inputs": "输入",
    "outputs": "输出",
    "sums": "和",
    "products": "积",
    "inputs {}": "输入 {}",
    "outputs {}": "输出 {}",
    "sums {}": "和 {}",
    "products {}": "积 {}",
    "times": "相乘",
    "registers": "寄存器",
    "memory": "内存",
    "L{} cache": "L{} 缓存",
    "kernel {}": "卷积核 {}",
    "windows of {}": "大小为 {} 的窗口",
    "one window over all": "一个盖住全部的窗口",
    "cut": "裁剪",
    "zeros added": "补零",
    "size {}": "大小 {}",
    "dilation {}": "膨胀率 {}",
    "{}: input {}; {}; output {}; {} positions of padding or cut off.": (
        "{}：输入 {}；{}；输出 {}；填充或裁掉的位置有 {} 个。"
    ),
    "{} convolutions one after the other: what the last output reads of {} inputs.": (
        "{} 个卷积一个接一个：最后一个输出读取 {} 个输入中的哪些。"
    ),
    "A kernel of 3x3 numbers slides over {} numbers, {}, stride {}, dilation {}; "
    "the output has {} numbers, from {} to {}.": (
        "3x3 的卷积核在 {} 个数上滑动，{}，步长 {}，膨胀率 {}；输出有 {} 个数，从 {} 到 {}。"
    ),
    "Each of {} numbers is multiplied by a kernel of {} numbers; "
    "the products land {} positions apart and overlaps add up to an output of {} numbers.": (
        "{} 个数各乘以 {} 的卷积核；积落在相隔 {} 个位置的地方，重叠处相加，得到 {} 个数的输出。"
    ),
    "{} times the kernel, added here": "卷积核的 {} 倍，加在这里",
    "{} outputs in blocks of {}; {} filters in {} panels of {}, {} to a task: {} tasks for {} threads.": (
        "{} 个输出，分成 {} 的块；{} 个滤波器，分成 {} 个面板，每个 {} 个滤波器，"
        "每个任务 {} 个面板：{} 个任务，{} 个线程。"
    ),
    "{} outputs": "{} 个输出",
    "{} filters: panels of {}": "{} 个滤波器：每个面板 {} 个",
    "A task: {} outputs times {} filters. There are {}.": "一个任务：{} 个输出乘 {} 个滤波器。共有 {} 个任务。",
    "Where the numbers of a task lie, near ones first. {}.": "一个任务的数放在哪里，由近及远。{}。",
    "a tile of {} windows x {} filters": "{} 个窗口 x {} 个滤波器的块",
    "{} products are added": "加上 {} 个乘积",
    "what the tile reads for one tap": "寄存器块为一个抽头读取的数",
    "the next tap reads most of it again": "下一个抽头再次读取其中的大部分",
    "a panel of weights": "一个面板的权重",
    "read by {} tiles in turn": "由 {} 个寄存器块依次读取",
    "the strip": "条带",
    "read by {} panels in turn": "由 {} 个面板依次读取",
    "all weights": "全部权重",
    "read by {} blocks of windows": "由 {} 组窗口读取",
    "image and outputs": "图像和输出",
    "copied and written once": "复制一次，写入一次",
    "Weights of {} taps, {} channels and {} filters as {} rows of {}; "
    "packed, they are {} panels of {} rows of {}, read as {} and so on.": (
        "{} 个抽头、{} 个通道、{} 个滤波器的权重，共 {} 行，每行 {} 个；"
        "打包之后是 {} 个面板，每个 {} 行，每行 {} 个，按 {} 的顺序读下去。"
    ),
    "{} filters": "{} 个滤波器",
    "tap {}, channel {}": "抽头 {}，通道 {}",
    "panel {}": "面板 {}",
    "in memory: {} ... one panel behind the other": "内存中：{} …… 一个面板接一个面板",
    "An image of {} numbers with a border of zeros; "
    "the first {} rows of 3x3 windows read {} rows, which are copied into a strip of {} numbers.": (
        "{} 个数的图像，四周一圈零；前 {} 行 3x3 的窗口读取 {} 行，它们被复制到 {} 个数的条带里。"
    ),
    "image, and zeros that are imagined": "图像，以及设想的零",
    "strip: zeros like any others": "条带：零与别的数一样",
    "A tile of {} rows by {} vectors of {}: "
    "{} values of the input at the left, {} weights above; each place of the tile adds their product.": (
        "{} 行、每行 {} 个向量（各 {} 个数）的寄存器块：左边是 {} 个输入值，上面是 {} 个权重；"
        "块的每个位置加上它们的积。"
    ),
    "weights of {} filters, for one tap and channel": "{} 个滤波器在一个抽头、一个通道上的权重",
    "{} registers of sums, {} of weights, 1 for a value of the input": "{} 个寄存器放和，{} 个放权重，1 个放输入值",
    "Winograd's algorithm for a kernel of {}: {}.": "卷积核 {} 的 Winograd 算法：{}。",
    # Charts.
    "{}  Plain loops": "{}  朴素循环",
    "{}  Parallel rows": "{}  并行的行",
    "{}  Filters innermost": "{}  滤波器在最内层",
    "{}  Unrolled block": "{}  展开的块",
    "{}  Matrix product": "{}  矩阵乘积",
    "{}  Register tile": "{}  寄存器块",
    "{}  Strips and packed weights": "{}  条带与打包的权重",
    "A 3x3 convolution, {}, {} channels to {} filters, float32": "3x3 卷积，{}，{} 个通道到 {} 个滤波器，float32",
    "GFLOP/s of the direct sum (logarithmic)": "GFLOP/s，按直接求和计算（对数坐标）",
    "GFLOP/s (logarithmic)": "GFLOP/s（对数坐标）",
    "peak {} GFLOP/s": "峰值 {} GFLOP/s",
    "peak {}": "峰值 {}",
    "The rungs below their roof": "屋顶之下的各级",
    "operations for each byte that is loaded or stored (logarithmic)": "读取或写入的每个字节的运算次数（对数坐标）",
    "data of {}": "{} 的数据",
    "one number at a time": "每次一个数",
    "counted as the direct sum": "按直接求和计算",
    "its own multiplications": "它自己的乘法",
    "{}: its loads and stores are those of NumPy's library": "{}：读取和写入由 NumPy 的库决定",
    "A network learns to read digits": "一个网络学习识别数字",
    "loss": "损失",
    "accuracy": "准确率",
    "epoch": "轮次",
    "training, shifted digits": "训练，平移过的数字",
    "validation": "验证",
    "What the {} filters of the first layer look for (red is ink, blue is paper)": (
        "第一层的 {} 个滤波器寻找什么（红色是墨，蓝色是纸）"
    ),
    "{} of {} digits it never saw are read right; mistakes (red) and near ones:": (
        "{} 识别正确，共 {} 个从未见过的数字；识别错误的（红色）和险些识别错误的："
    ),
    "{} read as {}": "{} 识别为 {}",
    "{} sure": "把握 {}",
    "A network that has seen one photograph takes the noise out of another": "只看过一张照片的网络去除另一张照片的噪声",
    "clean": "无噪声",
    "noisy": "有噪声",
    "best Gaussian blur": "最好的高斯模糊",
    "network": "网络",
    "A bar for each step, as long as the step takes": "每一步一根条，步骤用时多长，条就多长",
    "{} operations of layers in {} steps, {} microseconds": "{} 个层的运算合成 {} 步，{} 微秒",
    "of this network": "这个网络",
    "layers, each counted with what it does": "层，按所做的运算计数",
    "steps": "步骤",
    "bytes of the results of all layers": "所有层的结果，字节",
    "bytes of the results of all steps": "所有步骤的结果，字节",
    "bytes of the arena": "内存池，字节",
    "{} dB": "{} dB",
    "PSNR (dB)": "PSNR (dB)",
    "training patches": "训练用的小片",
    "patches kept aside": "留出的小片",
}
PATTERNS = [
    # Sentences may hold lists of phrases.
    (
        re.compile(re.escape(words).replace(r"\{\}", "(.+?)" if words[-1] == "." else "([^a-wyz;:]+?)")),
        chinese.replace("{}", "%s"),
    )
    for words, chinese in WORDS.items()
]


def in_chinese(words):
    """What stands in a drawing, translated; words that are not in the list are an error."""
    found = _translated(words)
    # Names have capitals, and arguments stand in quotation marks.
    if re.search(r"(?<![\w'])[a-z]{3,}(?![\w'])", found):
        raise LookupError(f"docs/drawings/chinese.py lacks {words!r}")
    return found


def _translated(words):
    for pattern, chinese in PATTERNS:
        if match := pattern.fullmatch(words):
            return chinese % tuple(_translated(group) for group in match.groups())
    for mark, chinese in (("; ", "；"), (": ", "："), (", ", "，")):
        if mark in words and re.search("[a-z]{2}", words):
            return chinese.join(map(_translated, words.split(mark)))
    return words
