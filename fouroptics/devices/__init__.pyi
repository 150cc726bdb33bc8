from .camera import Camera as Camera
from .camera import CameraConfig as CameraConfig
from .panel import SLMConfig as SLMConfig
from .slm import SLM as SLM
